package zaudit.junit;

/**
 * Ends a run with an error, which Surefire and Gradle report.
 *
 * <p>JUnit's launcher logs and forgets what a listener throws, except this one kind of error. There
 * is memory left.
 */
final class RunFailed extends OutOfMemoryError {
    private static final long serialVersionUID = 1;

    RunFailed(String message) {
        super(message);
    }
}
