package zaudit.junit;

import java.util.Optional;

/** What is done about tests without the annotation: {@code zaudit.junit.mode}. */
enum Mode {
    /** Nothing is checked, annotated tests neither. */
    OFF,
    /** The default: only annotated tests are checked. */
    ANNOTATED,
    /** Leaks of all tests are written to standard error; only annotated tests fail. */
    REPORT,
    /** All tests that leak fail. */
    FAIL;

    static final String PARAMETER = "zaudit.junit.mode";

    static Mode of(Optional<String> value) {
        switch (value.map(String::trim).orElse("")) {
            case "":
                return ANNOTATED;
            case "off":
                return OFF;
            case "report":
                return REPORT;
            case "fail":
                return FAIL;
            default:
                throw new IllegalArgumentException(
                        "zaudit: " + PARAMETER + "=" + value.get()
                                + " is none of off, report, fail");
        }
    }
}
