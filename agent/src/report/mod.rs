//! What is said: one plain report, and one renderer a file.
//!
//! Owns the report's shape and the choice of renderer; opens no file. Invariant: the same snapshot and process
//! give the same bytes.

mod json;
mod text;
mod words;

use crate::classify::{Judgement, judge};
use crate::event::{PerKind, Trigger};
use crate::options::Format;
use crate::session::{Gaps, Snapshot};
use crate::suppress::Rule;
use std::time::SystemTime;

pub use text::Style;

/// Whose report it is, and when and why it was taken.
#[derive(Clone, Debug)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Name and version of the JVM.
    pub jvm: String,
    /// Main class and arguments, as `jps -lm` has them.
    pub command: String,
    /// When the agent was armed.
    pub started: SystemTime,
    /// When this report was taken.
    pub taken: SystemTime,
    /// What asked for it.
    pub trigger: Trigger,
    /// Number of a report on demand; none for the last one.
    pub number: Option<u32>,
}

/// Everything that a renderer may say.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose.
    pub process: Process,
    /// Seconds since arming.
    pub age_seconds: f64,
    /// Sites and sums, in order.
    pub judgement: Judgement,
    /// The rules that were asked.
    pub rules: Vec<Rule>,
    /// Second and further calls of `end()`.
    pub ended_again: PerKind<u64>,
    /// First calls of `end()` on what was made before the agent was armed.
    pub ended_unknown: PerKind<u64>,
    /// When the snapshot was taken, for ages.
    pub snapshot_nanos: crate::event::Nanos,
    /// What could not be seen.
    pub health: Health,
}

/// What could not be seen. Good health means: every count is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Reasons, from the session.
    pub gaps: Gaps,
    /// Sites whose sum is off.
    pub sums_off: u64,
    /// New stacks that found the site table full.
    pub overflowed: u64,
    /// Sites whose stack was cut at the outer end; their counts are exact.
    pub truncated_sites: u64,
}

impl Health {
    /// Whether all was seen and all adds up.
    pub fn ok(&self) -> bool {
        self.gaps == Gaps::default() && self.sums_off == 0 && self.overflowed == 0
    }
}

impl Report {
    /// Judges a snapshot and puts it in order.
    pub fn new(process: Process, snapshot: &Snapshot, rules: Vec<Rule>) -> Report {
        let judgement = judge(snapshot, &rules);
        Report {
            age_seconds: snapshot.taken.0 as f64 / 1e9,
            health: Health {
                gaps: snapshot.gaps.clone(),
                sums_off: judgement.mismatches,
                overflowed: snapshot.overflowed,
                truncated_sites: judgement.sites.iter().filter(|site| site.site.truncated).count() as u64,
            },
            process,
            judgement,
            rules,
            ended_again: snapshot.ended_again,
            ended_unknown: snapshot.ended_unknown,
            snapshot_nanos: snapshot.taken,
        }
    }

    /// The report in the asked format. `style` is for people's eyes only.
    pub fn render(&self, format: Format, style: Style) -> Vec<u8> {
        match format {
            Format::Text => text::render(self, style).into_bytes(),
            Format::Json => json::render(self),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::classify::tests::session;
    use crate::event::{Kind, Nanos};
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    /// The report that the renderers' goldens show: a leak by everybody, a leak on one path, a pool, a JDK cache.
    pub(crate) fn sample() -> Report {
        const CODEC: &[&str] = &[
            "java.util.zip.Deflater.<init>",
            "org.apache.lucene.codecs.compressing.CompressionMode$DeflateCompressor.<init>",
            "org.apache.lucene.codecs.compressing.CompressionMode$2.newCompressor",
            "org.acme.search.Index.write",
            "org.acme.Main.main",
        ];
        let session = session(&[
            (Kind::Deflater, CODEC, 4, 0, 1, 3),
            (
                Kind::Inflater,
                &["java.util.zip.Inflater.<init>", "org.acme.Codec.decode", "org.acme.Main.main"],
                2_000,
                1_998,
                0,
                2,
            ),
            (
                Kind::Inflater,
                &["java.util.zip.Inflater.<init>", "org.acme.Pool.<clinit>", "org.acme.Main.main"],
                16,
                0,
                0,
                0,
            ),
            (
                Kind::Inflater,
                &["java.util.zip.Inflater.<init>", "java.util.zip.ZipFile.getInflater", "org.acme.Main.main"],
                3,
                0,
                0,
                0,
            ),
            (Kind::Inflater, &["java.util.zip.Inflater.<init>", "org.acme.Main.main"], 7, 7, 0, 0),
        ]);
        session.ended_again(Kind::Inflater);
        report(&session)
    }

    pub(crate) fn report(session: &crate::session::Session) -> Report {
        let process = Process {
            pid: 4711,
            jvm: "OpenJDK 64-Bit Server VM 17.0.15".into(),
            command: "org.acme.Main --serve".into(),
            started: UNIX_EPOCH + Duration::from_millis(1_795_440_393_250),
            taken: UNIX_EPOCH + Duration::from_millis(1_795_440_453_750),
            trigger: Trigger::Exit,
            number: None,
        };
        Report::new(process, &session.snapshot(Nanos(60_500_000_000), Duration::ZERO), Rule::built_in())
    }

    /// Compares with `tests/goldens/<name>`; a missing golden fails, `BLESS=1` writes it.
    pub(crate) fn golden(name: &str, bytes: &[u8]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens").join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
        let expected =
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; BLESS=1 writes it", path.display()));
        assert_eq!(String::from_utf8_lossy(bytes), String::from_utf8_lossy(&expected), "{name}");
    }
}
