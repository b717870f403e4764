package bench;

/** The shortest program: what its process takes is start-up and exit. */
public final class Hello {
    private Hello() {}

    public static void main(String[] args) {
        System.out.println("hello");
    }
}
