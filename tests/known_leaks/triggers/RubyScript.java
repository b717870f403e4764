import org.jruby.embed.LocalContextScope;
import org.jruby.embed.ScriptingContainer;

/** A call runs a Ruby script, which is interpreted; it creates a Deflater and forgets it. */
public final class RubyScript {
    private RubyScript() {}

    public static void main(String[] arguments) {
        ScriptingContainer ruby = new ScriptingContainer(LocalContextScope.SINGLETHREAD);
        for (int call = Integer.parseInt(arguments[0]); call > 0; call--) {
            pack(ruby);
        }
    }

    private static void pack(ScriptingContainer ruby) {
        ruby.runScriptlet("require 'java'\njava.util.zip.Deflater.new(9).finish\n");
    }
}
