//! What the source calls a method whose name a compiler has generated.
//!
//! Compilers of Java, Kotlin, Scala, Groovy and others put closures, anonymous classes and scripts
//! into classes and methods of their own. Owns how they name these. Invariant: where a name does
//! not tell what the source says, it stays as it is.

use crate::analysis::blame::simple;
use crate::model::Frame;

/// A method as a noun phrase: `Codec.decode()`, `the constructor of Codec`. If a compiler has
/// generated its name, file and line follow.
pub fn method(frame: &Frame) -> String {
    let (class, method) = (Class::of(frame), Method::of(frame));
    let is_plain = method == Method::Named(&frame.method) || frame.method.starts_with('<');
    let text = class.with(class.method.unwrap_or(method));
    with_place(text, frame, is_plain && class.is_plain(frame))
}

/// The class of a frame: `Codec`, `an anonymous class in Codec (Codec.java:7)`.
pub fn class(frame: &Frame) -> String {
    let class = Class::of(frame);
    let text = match class.method {
        Some(method) => format!("an anonymous class in {}", class.with(method)),
        None => class.name(),
    };
    with_place(text, frame, class.is_plain(frame))
}

fn with_place(text: String, frame: &Frame, is_plain: bool) -> String {
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) if !is_plain => format!("{text} ({file}:{line})"),
        _ => text,
    }
}

/// A class as the source has it.
struct Class<'a> {
    /// Without the package, the classes around it joined by `$`; empty if the source has none.
    simple: String,
    /// If it is declared in a method: that, because the code of closures is there.
    method: Option<Method<'a>>,
    is_anonymous: bool,
    is_clojure: bool,
}

/// A method as the source has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method<'a> {
    Named(&'a str),
    Constructor,
    Initializer,
    /// A closure in a method that the name does not tell.
    Closure,
}

/// Packages in which runtimes keep what they compile from scripts: their classes are in no source.
const SCRIPTS: [&str; 4] = [
    "org.python.pycode.",
    "org.mozilla.javascript.gen.",
    "jdk.nashorn.internal.scripts.",
    "org.openjdk.nashorn.internal.scripts.",
];

impl<'a> Class<'a> {
    fn of(frame: &'a Frame) -> Class<'a> {
        let mut class =
            Class { simple: String::new(), method: None, is_anonymous: false, is_clojure: false };
        if SCRIPTS.iter().any(|package| frame.class.starts_with(package)) {
            return class;
        }
        if is_from(frame, &[".clj", ".cljc"])
            && let Some((namespace, function)) = frame.class.split_once('$')
        {
            class.simple = namespace.to_owned();
            class.method = function.split('$').next().map(Method::Named);
            class.is_clojure = true;
            return class;
        }
        let is_kotlin = is_from(frame, &[".kt"]);
        let mut parts = simple(frame).split('$');
        let first = parts.next().unwrap_or_default();
        // Kotlin's functions outside of a class are in one that is named by the file.
        class.simple = if is_kotlin && is_facade(first) { "" } else { first }.to_owned();
        while let Some(part) = parts.next() {
            match part {
                // Scala's objects, and what it puts between the parts of a name; the bodies of
                // Kotlin's interfaces and of Scala's traits.
                "" | "DefaultImpls" => {}
                "class" if is_from(frame, &[".scala"]) => {}
                // What Jython compiles from a file.
                "py" if is_from(frame, &[".py"]) => {}
                "Companion" if is_kotlin => {}
                "anon" => class.is_anonymous = true,
                "anonfun" => {
                    class.method = Some(Method::around(parts.next().unwrap_or_default()));
                    break;
                }
                _ if part.starts_with('_') && part.contains("_closure") => {
                    let method = part.split("_closure").next().unwrap_or_default();
                    class.method = Some(Method::around(method.trim_start_matches('_')));
                    break;
                }
                _ if is_number(part) => class.is_anonymous = true,
                _ if is_kotlin && begins_small(part) && parts.clone().any(is_number) => {
                    class.method = Some(Method::around(part));
                    break;
                }
                // A class that is declared in a method of Java has a number in front of its name.
                _ => {
                    class.is_anonymous = false;
                    let name = part.trim_start_matches(|c: char| c.is_ascii_digit());
                    let joint = if class.simple.is_empty() { "" } else { "$" };
                    class.simple = format!("{}{joint}{name}", class.simple);
                }
            }
        }
        class
    }

    /// One of its methods.
    fn with(&self, method: Method<'_>) -> String {
        let owner = self.name();
        match method {
            Method::Constructor => format!("the constructor of {owner}"),
            Method::Initializer => format!("the static initializer of {owner}"),
            Method::Closure => format!("a closure in {owner}"),
            Method::Named(name) if self.is_clojure => format!("{owner}/{name}"),
            Method::Named(name) if self.simple.is_empty() => format!("{name}()"),
            Method::Named(name) if self.is_anonymous => format!("{name}() of {owner}"),
            Method::Named(name) => format!("{owner}.{name}()"),
        }
    }

    /// As a noun.
    fn name(&self) -> String {
        match (self.is_anonymous, self.simple.is_empty()) {
            (true, false) => format!("an anonymous class in {}", self.simple),
            (true, true) => "an anonymous class".into(),
            (false, true) => "a script".into(),
            (false, false) => self.simple.clone(),
        }
    }

    /// Whether its name is the one in the class file.
    fn is_plain(&self, frame: &Frame) -> bool {
        self.method.is_none() && !self.is_anonymous && self.simple == simple(frame)
    }
}

impl<'a> Method<'a> {
    fn of(frame: &'a Frame) -> Method<'a> {
        let name = frame.method.as_str();
        match name {
            "<init>" => return Method::Constructor,
            "<clinit>" => return Method::Initializer,
            _ => {}
        }
        if let Some(closure) = Method::closure(name) {
            return closure;
        }
        // Scala's private methods that others call, with the class in front; Kotlin's accessors,
        // which Java numbers.
        let name = name.rsplit_once("$$").map_or(name, |(_, name)| name);
        let name = match name.strip_prefix("access$") {
            Some(number) if !is_name(number) => return Method::Named(name),
            accessed => accessed.unwrap_or(name),
        };
        // Rhino's functions.
        let name = name.strip_prefix("_c_").filter(|_| is_from(frame, &[".js"])).unwrap_or(name);
        let end = if is_from(frame, &[".js"]) {
            name.rsplit_once('_').filter(|(_, rest)| is_number(rest)).map(|(name, _)| name.len())
        } else if is_from(frame, &[".kt"]) {
            // Closures, default arguments, internal functions, and those with inline classes.
            name.find(['$', '-'])
        } else {
            let cut = name.rsplit_once('$').filter(|(_, rest)| rest.is_empty() || is_number(rest));
            cut.map(|(name, _)| name.len())
        };
        let short = end.and_then(|end| name.get(..end)).filter(|short| is_name(short));
        Method::Named(short.unwrap_or(name))
    }

    /// The method around a closure that has one of its own.
    fn closure(name: &'a str) -> Option<Method<'a>> {
        // Java, Scala, JRuby.
        let rest = ["lambda$", "$anonfun$", "RUBY$method$", "RUBY$block$"]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))?;
        Some(match rest.split('$').next().unwrap_or_default() {
            "new" => Method::Constructor,
            "static" => Method::Initializer,
            "null" => Method::Closure,
            name => Method::around(name),
        })
    }

    /// The method around a closure; numbers stand for one that is not known.
    fn around(name: &'a str) -> Method<'a> {
        if is_name(name) { Method::Named(name) } else { Method::Closure }
    }
}

/// Whether the source of a frame is a file whose name ends so.
fn is_from(frame: &Frame, ends: &[&str]) -> bool {
    frame.file.as_ref().is_some_and(|file| ends.iter().any(|end| file.ends_with(end)))
}

/// Whether a class of Kotlin stands for its file.
fn is_facade(class: &str) -> bool {
    class.split("__").next().is_some_and(|class| class.ends_with("Kt"))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn begins_small(text: &str) -> bool {
    text.starts_with(|c: char| c.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_become_those_of_the_source() {
        for (frame, file, source) in [
            ("a.Codec.decode", "Codec.java", "Codec.decode()"),
            ("a.Codec$Inner.decode", "Codec.java", "Codec$Inner.decode()"),
            ("a.Codec.<init>", "Codec.java", "the constructor of Codec"),
            ("a.Codec.<clinit>", "Codec.java", "the static initializer of Codec"),
            // Java
            ("a.Codec.lambda$decode$0", "Codec.java", "Codec.decode() (Codec.java:7)"),
            ("a.Codec.lambda$new$1", "Codec.java", "the constructor of Codec (Codec.java:7)"),
            (
                "a.Codec.lambda$static$1",
                "Codec.java",
                "the static initializer of Codec (Codec.java:7)",
            ),
            ("a.Codec.lambda$null$2", "Codec.java", "a closure in Codec (Codec.java:7)"),
            ("a.Codec$1.run", "Codec.java", "run() of an anonymous class in Codec (Codec.java:7)"),
            (
                "a.Codec$Inner$1$2.<init>",
                "Codec.java",
                "the constructor of an anonymous class in Codec$Inner (Codec.java:7)",
            ),
            ("a.Codec$1Local.run", "Codec.java", "Codec$Local.run() (Codec.java:7)"),
            ("a.Codec.access$100", "Codec.java", "Codec.access$100()"),
            // Kotlin
            ("a.CodecKt$inflate$1.invokeSuspend", "Codec.kt", "inflate() (Codec.kt:7)"),
            ("a.CodecKt.inflate", "Codec.kt", "inflate() (Codec.kt:7)"),
            ("a.Codec$Inner$inflate$2$1.invoke", "Codec.kt", "Codec$Inner.inflate() (Codec.kt:7)"),
            ("a.Codec$1.run", "Codec.kt", "run() of an anonymous class in Codec (Codec.kt:7)"),
            ("a.Codec.inflate$lambda$0", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec.inflate$lambda-0", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec.inflate-sK2bQ", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec.inflate$default", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec.access$inflate", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec$DefaultImpls.inflate", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            ("a.Codec$Companion.inflate", "Codec.kt", "Codec.inflate() (Codec.kt:7)"),
            // Scala
            (
                "a.Codec$$anon$1.<init>",
                "Codec.scala",
                "the constructor of an anonymous class in Codec (Codec.scala:7)",
            ),
            (
                "a.Codec$$anon$1.org$acme$Codec$$anon$$build",
                "Codec.scala",
                "build() of an anonymous class in Codec (Codec.scala:7)",
            ),
            ("a.Codec$.decode", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            ("a.Codec$.$anonfun$decode$1", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            ("a.Codec.$anonfun$decode$1$adapted", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            ("a.Codec$$anonfun$decode$1.apply", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            ("a.Codec$$anonfun$1.apply", "Codec.scala", "a closure in Codec (Codec.scala:7)"),
            ("a.Codec$class.decode", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            ("a.Codec.decode$", "Codec.scala", "Codec.decode() (Codec.scala:7)"),
            // Groovy
            ("a.Codec$_closure1.doCall", "Codec.groovy", "a closure in Codec (Codec.groovy:7)"),
            (
                "a.Codec$_decode_closure1$_closure2.doCall",
                "Codec.groovy",
                "Codec.decode() (Codec.groovy:7)",
            ),
            // Clojure, Jython, Nashorn, Rhino, JRuby
            ("acme.io$pack.invokeStatic", "io.clj", "acme.io/pack (io.clj:7)"),
            ("org.python.pycode._pyx0.pack$1", "leak.py", "pack() (leak.py:7)"),
            ("jdk.nashorn.internal.scripts.Script$1$a.pack", "a.js", "pack() (a.js:7)"),
            ("zlib$py.__init__$18", "zlib.py", "zlib.__init__() (zlib.py:7)"),
            ("org.mozilla.javascript.gen.a_js_1._c_pack_it_1", "a.js", "pack_it() (a.js:7)"),
            ("tmp.leak.RUBY$method$pack$0", "leak.rb", "leak.pack() (leak.rb:7)"),
        ] {
            let (class, name) = frame.rsplit_once('.').unwrap();
            let file = Some(file.to_owned());
            let frame = Frame { file, line: Some(7), ..Frame::named(class, name) };
            assert_eq!(method(&frame), source, "{frame:?}");
        }
    }

    #[test]
    fn classes_too() {
        for (name, file, source) in [
            ("a.Codec$Inner", "Codec.java", "Codec$Inner"),
            ("a.Codec$$anon$1", "Codec.scala", "an anonymous class in Codec (Codec.scala:7)"),
            ("a.Codec$", "Codec.scala", "Codec (Codec.scala:7)"),
            ("a.CodecKt$make$1", "Codec.kt", "an anonymous class in make() (Codec.kt:7)"),
        ] {
            let file = Some(file.to_owned());
            let frame = Frame { file, line: Some(7), ..Frame::named(name, "<init>") };
            assert_eq!(class(&frame), source);
        }
        // Nothing is added where there is nothing.
        assert_eq!(class(&Frame::named("a.Codec$1", "x")), "an anonymous class in Codec");
    }
}
