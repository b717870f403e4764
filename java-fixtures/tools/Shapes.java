// The shapes of code that are easily rewritten wrongly, one a method. The suite splices into them
// and looks at the result.

final class Shapes {
    static int manyReturns(int number) {
        if (number < 0) {
            return -1;
        }
        if (number == 0) {
            return 0;
        }
        return number > 9 ? 2 : 1;
    }

    static String switches(int number) {
        switch (number) {
            case 1:
                return "one";
            case 2:
            case 3:
                number += 10;
                break;
            default:
                switch (number * 1000) {
                    case -5000:
                        return "minus five";
                    case 77000:
                        number--;
                }
        }
        return String.valueOf(number);
    }

    static int tryFinally(int[] numbers) {
        try {
            return numbers[0];
        } catch (RuntimeException failure) {
            numbers = new int[numbers == null ? 1 : 2];
        } finally {
            done();
        }
        synchronized (Shapes.class) {
            return numbers.length;
        }
    }

    // The loop jumps back to the first instruction, and out of it to the last, which is a return.
    static void backToTheStart() {
        while (more()) {
            done();
        }
    }

    // A `new` that waits for its arguments is named by the frames between.
    static StringBuilder newAcrossBranch(boolean more) {
        return new StringBuilder(more ? 2 : 1);
    }

    static void nothing() {}

    private static native boolean more();

    private static native void done();
}
