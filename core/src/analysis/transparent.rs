//! Frames that make nothing: reflection, method handles, and the runtimes of other languages.
//!
//! They create what the frame that called them wants, so no finding blames them, and findings are
//! the same if only these frames differ: reflection generates its accessors after a few calls. Owns
//! the table. Invariant: code that a runtime has compiled from a script is no part of it, if
//! it is in classes of its own.

use crate::model::Frame;

/// Packages (with the dot at their end) and classes (with those nested in them), and what of them
/// is not meant.
struct Row {
    names: &'static [&'static str],
    except: &'static [&'static str],
}

const fn row(names: &'static [&'static str]) -> Row {
    Row { names, except: &[] }
}

const TABLE: &[Row] = &[
    // Reflection calls the constructor that its caller names, first by a native method, then by a
    // generated accessor, and since JDK 18 by a method handle.
    row(&["java.lang.reflect.", "jdk.internal.reflect.", "sun.reflect.", "java.lang.Class"]),
    // Method handles call what they were made for; most of their frames are hidden.
    row(&["java.lang.invoke."]),
    // JSR 223 hands a script to its engine.
    row(&["javax.script."]),
    // Nashorn links the script's calls. What it compiles from a script has lines of the script.
    Row {
        names: &["jdk.nashorn.", "org.openjdk.nashorn.", "jdk.dynalink.", "jdk.internal.dynalink."],
        except: &["jdk.nashorn.internal.scripts.", "org.openjdk.nashorn.internal.scripts."],
    },
    // Rhino interprets, or compiles to classes in `gen`.
    Row { names: &["org.mozilla.javascript."], except: &["org.mozilla.javascript.gen."] },
    // GraalVM's languages: an interpreter has no frame for a function of the script.
    row(&["com.oracle.truffle.", "org.graalvm.polyglot."]),
    // JRuby reflects, interprets and dispatches. Ruby code that it compiles is in classes named by
    // its files; extensions in Java do create things.
    Row { names: &["org.jruby."], except: &["org.jruby.ext."] },
    // Jython reflects and dispatches. Compiled Python is in `pycode` or in classes named by its
    // files; modules in Java do create things.
    Row { names: &["org.python."], except: &["org.python.pycode.", "org.python.modules."] },
    // Groovy calls constructors and methods through its meta classes and call sites.
    row(&[
        "groovy.lang.",
        "groovy.util.GroovyScriptEngine",
        "org.codehaus.groovy.",
        "org.apache.groovy.",
    ]),
    // Clojure's Reflector, and the functions and the compiler that call what they are given.
    row(&["clojure.lang.", "clojure.core", "clojure.main"]),
    // Scala's and Kotlin's reflection, structural calls, and references to functions.
    row(&["scala.reflect.", "scala.runtime.", "kotlin.reflect.", "kotlin.jvm.internal."]),
    // Languages of expressions: they evaluate what stands in a configuration or a page, which has
    // no frames.
    row(&[
        "org.mvel2.",
        "org.mvel.",
        "ognl.",
        "bsh.",
        "org.apache.commons.jexl2.",
        "org.apache.commons.jexl3.",
        "org.springframework.expression.",
        "javax.el.",
        "jakarta.el.",
        "org.apache.el.",
        "com.sun.el.",
    ]),
];

/// Whether a frame creates nothing of its own accord.
pub fn is_transparent(frame: &Frame) -> bool {
    let class = frame.class.as_str();
    is_generated(frame) || TABLE.iter().any(|row| row.has(class))
}

impl Row {
    fn has(&self, class: &str) -> bool {
        let any = |names: &[&str]| names.iter().any(|name| is_of(class, name));
        any(self.names) && !any(self.except)
    }
}

/// Whether a class has this name, is nested in it, or is in this package.
fn is_of(class: &str, name: &str) -> bool {
    let rest = class.strip_prefix(name);
    rest.is_some_and(|rest| name.ends_with('.') || rest.is_empty() || rest.starts_with('$'))
}

/// Whether a class was generated at run time to call another one: that of a lambda or of a
/// reference to a constructor, a proxy, an accessor. Such code has no lines.
fn is_generated(frame: &Frame) -> bool {
    /// How libraries name what they generate: lambdas and CGLIB, MVEL, Byte Buddy.
    const PARTS: [&str; 4] = ["$$", "$Proxy", "ASMAccessorImpl_", "$ByteBuddy$"];
    frame.line.is_none() && PARTS.iter().any(|part| frame.class.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_for_others_is_transparent() {
        for (class, line, transparent) in [
            ("java.lang.reflect.Constructor", Some(480), true),
            ("jdk.internal.reflect.DirectConstructorHandleAccessor", Some(62), true),
            ("sun.reflect.GeneratedConstructorAccessor", None, true),
            ("java.lang.Class", Some(442), true),
            ("java.lang.ClassLoader", Some(5), false),
            ("java.lang.invoke.MethodHandle", Some(7), true),
            ("a.Main$$Lambda", None, true),
            ("a.Service$$EnhancerBySpringCGLIB$$b2c", None, true),
            // Scala's closures are the program's code.
            ("a.Main$$anonfun$1", Some(12), false),
            ("com.sun.proxy.$Proxy", None, true),
            ("a.$ProxyPool", Some(3), false),
            ("org.jruby.javasupport.JavaConstructor", Some(9), true),
            ("org.jruby.ext.zlib.Inflate", Some(9), false),
            ("tmp.leak", Some(3), false),
            ("org.python.core.PyReflectedConstructor", Some(9), true),
            ("org.python.pycode._pyx0", Some(3), false),
            ("jdk.nashorn.internal.runtime.ScriptRuntime", Some(9), true),
            ("jdk.nashorn.internal.scripts.Script$Recompilation$2$a", Some(3), false),
            ("clojure.lang.Reflector", Some(9), true),
            ("clojure.core$apply", Some(9), true),
            ("user$pack", Some(3), false),
            ("clojure.corelib.A", Some(3), false),
            ("groovy.lang.MetaClassImpl", Some(9), true),
            ("java.util.zip.Inflater", Some(9), false),
            ("org.acme.Main", None, false),
        ] {
            let frame = Frame { line, ..Frame::named(class, "x") };
            assert_eq!(is_transparent(&frame), transparent, "{class}");
        }
    }

    #[test]
    fn every_name_of_the_table_counts() {
        let names = || TABLE.iter().flat_map(|row| row.names);
        for name in names() {
            let others = names().filter(|other| *other != name);
            let covered = others.into_iter().find(|other| is_of(name, other));
            assert_eq!(covered, None, "{name} is covered already");
        }
        for row in TABLE {
            for except in row.except {
                assert!(row.names.iter().any(|name| is_of(except, name)), "{except}");
            }
        }
    }
}
