//! The pages that are looked at: made by the renderer itself, of sessions that no JVM had to live
//! through.
//!
//! Invariant: the same page has the same bytes in every run.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use zaudit_core::analysis::footprint::Footprint;
use zaudit_core::analysis::history::History;
use zaudit_core::analysis::rules::Rule;
use zaudit_core::model::{Actor, Frame, Kind, Nanos, Role, Stack, ThreadId};
use zaudit_core::options::Format;
use zaudit_core::report::{Process, Report, Style};
use zaudit_core::testing::Recording;
use zaudit_tests::{Result, target_dir};

const MAIN: ThreadId = ThreadId(1);
const SECOND: u64 = 1_000_000_000;

/// Names that would like to be markup, script, or the end of either.
pub const HOSTILE: [&str; 7] = [
    "a.<script>alert('class')</script>",
    "a.</script><script>alert('end')</script>",
    "a.<!--<script>",
    "a.\"onmouseover=alert(1) x='\"><img src=x onerror=alert(2)>",
    "a.line\u{2028}break\u{2029}\n\u{0}\u{1b}[31m\u{202e}evil",
    "a.\u{1F600}\u{1D54F}&lt;b&gt;&amp;",
    "a.${alert(3)}`\\'];//",
];

/// A session that is being written.
#[derive(Default)]
pub struct Story {
    session: Recording,
    native: Footprint,
    history: History,
    stacks: u64,
}

impl Story {
    /// `created` instances of a stack, innermost first; the program ends `ended` of them, and a GC
    /// frees `collected` that nothing has ended.
    pub fn site(&mut self, kind: Kind, stack: &[&str], [created, ended, collected]: [u64; 3]) {
        let frames = stack.iter().map(|name| frame(name)).collect();
        self.stacks += 1;
        let stack = Stack { frames, truncated: false, subclass: None };
        let site = self.session.learn(kind, stack).expect("there is memory");
        self.session.name_thread(site, "main".into());
        for number in 0..created {
            let id = self.session.id();
            self.session
                .record_created(id, site, MAIN, Nanos(number * SECOND))
                .expect("there is memory");
            let later = Nanos((number + 90) * SECOND);
            if number < ended {
                self.session.record_ended(id, Actor { thread: MAIN, role: Role::Program }, later);
            } else if number < ended + collected {
                self.session.record_freed(id, later);
            }
        }
    }

    /// A snapshot, so that there is a curve.
    pub fn snapshot(&mut self, minute: u64) {
        let snapshot = self.session.snapshot(Nanos(minute * 60 * SECOND), Duration::ZERO);
        self.history.record(&snapshot.expect("there is memory")).expect("there is memory");
    }

    /// The page, as a file of this name.
    pub fn page(mut self, name: &str, command: &str) -> Result<PathBuf> {
        let taken = Nanos(7_200 * SECOND);
        let snapshot = self.session.snapshot(taken, Duration::ZERO).expect("there is memory");
        self.history.record(&snapshot).expect("there is memory");
        let started = UNIX_EPOCH + Duration::from_secs(1_795_440_393);
        let process = Process {
            pid: 4711,
            jvm: "OpenJDK 64-Bit Server VM 17.0.15 (Java 17)".into(),
            command: command.into(),
            options: "gc,file=report-%p.html".into(),
            started,
            taken: started + Duration::from_secs(7_200),
            ..Process::default()
        };
        let report =
            Report::new(process, self.native, &snapshot, Rule::built_in(), Arc::new(self.history))
                .expect("there is memory");
        let file = target_dir().join("page").join(format!("{name}.html"));
        fs::create_dir_all(target_dir().join("page")).map_err(|error| error.to_string())?;
        let mut page = BufWriter::new(File::create(&file).map_err(|error| error.to_string())?);
        report
            .render(Format::Html, Style::default(), &mut page)
            .map_err(|error| error.to_string())?;
        page.flush().map_err(|error| error.to_string())?;
        Ok(file)
    }
}

fn frame(name: &str) -> Frame {
    let (class, method) = name.rsplit_once('.').unwrap_or((name, ""));
    let outer = class.rsplit('.').next().and_then(|name| name.split('$').next()).unwrap_or(class);
    let line = 10 + name.bytes().map(u32::from).sum::<u32>() % 90;
    Frame { file: Some(format!("{outer}.java")), line: Some(line), ..Frame::named(class, method) }
}

const INFLATER: &str = "java.util.zip.Inflater.<init>";
const DECODE: [&str; 3] = [INFLATER, "org.acme.Codec.decode", "org.acme.Main.main"];
const DEFLATER: &str = "java.util.zip.Deflater.<init>";

/// A service with a leak in one class that two callers share, a leak on an error path, something
/// that grows, a pool, what the JDK keeps, and what is as it should be.
pub fn service() -> Result<PathBuf> {
    const RUN: [&str; 3] = [
        "org.acme.http.Worker.run",
        "java.util.concurrent.ThreadPoolExecutor.runWorker",
        "java.lang.Thread.run",
    ];
    let mut story = Story::default();
    let on_worker = |inner: &[&'static str]| -> Vec<&'static str> {
        inner.iter().copied().chain(RUN).collect()
    };
    let gzip = [DEFLATER, "java.util.zip.GZIPOutputStream.<init>", "org.acme.http.Gzip.encode"];
    let reply = on_worker(&[&gzip[..], &["org.acme.http.Handler.reply"]].concat());
    let push = on_worker(
        &[&gzip[..], &["org.acme.http.Push.send", "org.acme.http.Handler.event"]].concat(),
    );
    let decode =
        on_worker(&[INFLATER, "org.acme.codec.Frame.decode", "org.acme.http.Handler.read"]);
    let good = on_worker(&[INFLATER, "org.acme.codec.Body.inflate", "org.acme.http.Handler.read"]);
    let pool = [INFLATER, "org.acme.codec.Pool.<clinit>", "org.acme.Main.main"];
    let zip = [
        INFLATER,
        "java.util.zip.ZipFile.getInflater",
        "java.util.zip.ZipFile.getInputStream",
        "org.acme.Main.main",
    ];
    let grows =
        on_worker(&[DEFLATER, "org.acme.session.Session.<init>", "org.acme.http.Handler.login"]);
    story.site(Kind::Deflater, &reply, [1_200, 0, 1_150]);
    story.site(Kind::Deflater, &push, [310, 0, 310]);
    story.site(Kind::Inflater, &decode, [10_000, 9_962, 38]);
    story.site(Kind::Inflater, &good, [4_000, 4_000, 0]);
    story.site(Kind::Inflater, &pool, [16, 0, 0]);
    story.site(Kind::Inflater, &zip, [3, 0, 0]);
    for minute in 0..60 {
        story.site(Kind::Deflater, &grows, [3 + minute % 4, minute % 3, 0]);
        story.snapshot(2 * minute + 1);
    }
    story.page("service", "org.acme.Main --serve")
}

/// One leak through each hostile name, and one without any.
pub fn hostile() -> Result<PathBuf> {
    let mut story = Story::default();
    let long = format!("a.{}", "L\u{f6}ng\u{1F600}".repeat(2_000));
    for name in HOSTILE.into_iter().chain([long.as_str()]) {
        let name = format!("{name}.m");
        story.site(Kind::Inflater, &[INFLATER, &name, "a.Main.main"], [2, 0, 1]);
    }
    story.site(Kind::Inflater, &[], [2, 0, 1]);
    story.page("hostile", HOSTILE[1])
}

/// A leak and a suspect, with footprints that were measured.
pub fn measured() -> Result<PathBuf> {
    let mut story = Story::default();
    story.native.measured = true;
    story.site(Kind::Inflater, &DECODE, [12, 2, 9]);
    story.page("measured", "org.acme.Main")
}

/// Nothing leaks.
pub fn clean() -> Result<PathBuf> {
    let mut story = Story::default();
    story.site(Kind::Inflater, &DECODE, [2_000, 2_000, 0]);
    story.page("clean", "org.acme.Main")
}

/// Nothing was made at all.
pub fn empty() -> Result<PathBuf> {
    Story::default().page("empty", "org.acme.Main")
}

/// One finding with many stacks.
pub fn crowd() -> Result<PathBuf> {
    let mut story = Story::default();
    for caller in 0..30 {
        let caller = format!("org.acme.Caller{caller}.call");
        story.site(Kind::Inflater, &[INFLATER, "org.acme.Codec.decode", &caller], [3, 1, 1]);
    }
    story.page("crowd", "org.acme.Main")
}

/// Ten thousand sites, each a place of its own with thirty frames.
pub fn many() -> Result<PathBuf> {
    let mut story = Story::default();
    for number in 0..10_000_u64 {
        let blamed = format!("org.acme.module{}.Codec{}.decode", number % 40, number);
        let inner: Vec<String> = (0..14)
            .map(|depth| format!("org.acme.layer{depth}.Step{}.call", (number / (depth + 1)) % 60))
            .collect();
        let outer: Vec<String> =
            (0..14).map(|depth| format!("org.acme.server.Stage{depth}.run")).collect();
        let names = [INFLATER, &blamed].into_iter();
        let stack: Vec<&str> = names
            .chain(inner.iter().map(String::as_str))
            .chain(outer.iter().map(String::as_str))
            .collect();
        story.site(Kind::Inflater, &stack, [1 + number % 7, number % 2, number % 3 / 2]);
    }
    story.page("many", "org.acme.Main --many")
}
