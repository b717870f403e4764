package zaudit.junit;

import java.util.List;

/**
 * What a test fails with: its message has the findings, and its stack trace is that of the first
 * instance's creation, so that an IDE leads to the line to change.
 */
public final class ZlibLeakError extends AssertionError {
    private static final long serialVersionUID = 1;

    ZlibLeakError(String message, List<StackTraceElement> created) {
        super(message);
        setStackTrace(created.toArray(new StackTraceElement[0]));
    }
}
