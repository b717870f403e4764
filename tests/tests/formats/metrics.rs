//! Metrics in the hands of promtool, of node_exporter's textfile collector and of Prometheus; the
//! alerts and the dashboard of `docs/prometheus/`.
//!
//! Invariant: what Prometheus answers is compared with the JSON report of the same snapshot.

use crate::{Kit, filtered, hostile, leaked, number, rendered};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use zaudit_core::options::Format;
use zaudit_tests::child::Folder;
use zaudit_tests::command::Said;
use zaudit_tests::ensure;
use zaudit_tests::{Result, repository};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn check(kit: &Kit) -> Result<()> {
    let runs = [kit.run("GzipForgotten")?.text("prom")?, kit.run("LiveAtExit")?.text("prom")?];
    for text in [runs[0].as_bytes(), runs[1].as_bytes(), &rendered(&hostile(), Format::Prom)] {
        let said =
            filtered(kit.tools.command("promtool")?.args(["check", "metrics"]), text)?.done()?;
        ensure!(said.is_empty(), said);
    }
    Ok(())
}

pub(crate) fn alerts(kit: &Kit) -> Result<()> {
    for (words, file) in
        [(["check", "rules"], "alerts.yml"), (["test", "rules"], "alerts-test.yml")]
    {
        let mut command = kit.tools.command("promtool")?;
        let said = Said::of(command.current_dir(prometheus_files()).args(words).arg(file))?;
        ensure!(said.code == Some(0) && said.stdout.contains("SUCCESS"), "{words:?}: {said:?}");
    }
    Ok(())
}

/// The files of three JVMs in one folder, two of them of one program, and one with hostile names;
/// through the collector and a Prometheus.
pub(crate) fn scraped(kit: &Kit) -> Result<()> {
    let folder = Folder::fresh()?;
    let files = folder.0.join("textfile");
    fs::create_dir(&files).map_err(|error| error.to_string())?;
    let runs = [kit.run("GzipForgotten")?, kit.run("GzipForgotten")?, kit.run("LiveAtExit")?];
    for (at, run) in runs.iter().enumerate() {
        fs::write(files.join(format!("zaudit-{at}.prom")), run.text("prom")?)
            .map_err(|error| error.to_string())?;
    }
    fs::write(files.join("hostile.prom"), rendered(&hostile(), Format::Prom))
        .map_err(|error| error.to_string())?;

    let mut command = kit.tools.command("node_exporter")?;
    command.args([
        "--collector.disable-defaults",
        "--collector.textfile",
        "--web.listen-address=127.0.0.1:0",
    ]);
    command.arg(format!("--collector.textfile.directory={}", files.display()));
    let (_exporter, exporter) = Served::start(&mut command)?;
    let metrics = got(&exporter, "/metrics")?;
    ensure!(metrics.contains("node_textfile_scrape_error 0"), metrics.clone());

    let scraped = relayed(exporter)?;
    let config = folder.0.join("prometheus.yml");
    let target = format!(
        "scrape_configs: [{{job_name: zaudit, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]",
        scraped.address
    );
    fs::write(&config, target).map_err(|error| error.to_string())?;
    let mut command = kit.tools.command("prometheus")?;
    command.args(["--web.listen-address=127.0.0.1:0"]).current_dir(&folder.0);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.0.join("data").display()));
    let (_prometheus, prometheus) = Served::start(&mut command)?;
    // It scrapes again only when it has stored the previous answer.
    for _ in 0..2 {
        scraped.scrapes.recv_timeout(PATIENCE).map_err(|_| "Prometheus does not come")?;
    }

    for run in &runs {
        let json = run.json()?;
        let whose = format!("pid=\"{}\"", json["process"]["pid"]);
        for kind in ["inflater", "deflater", "zip_entry"] {
            let of = |site: &Value| if site["kind"] == kind { 1.0 } else { 0.0 };
            let mut expected: Vec<(&str, f64)> = [
                ("created_total", "created"),
                ("ended_total", "ended"),
                ("late_total", "late"),
                ("collected_total", "collected"),
                ("live", "live"),
                ("expected", "expected"),
                ("held_bytes", "bytes_held"),
                ("stream_bytes", "bytes_each"),
            ]
            .map(|(metric, field)| (metric, number(&json["totals"][kind], field)))
            .to_vec();
            expected.push(("leaked", run.sum(|site| of(site) * leaked(site))?));
            expected.push(("adopted_live", number(&json["totals"]["adopted"][kind], "live")));
            for (metric, expected) in expected {
                let found =
                    queried(&prometheus, &format!("zaudit_{metric}{{{whose},kind=\"{kind}\"}}"))?;
                ensure!(found == [expected], {
                    format!("{metric} of {kind}: {found:?}, the report says {expected}")
                });
            }
            let lateness = run.sum(|site| of(site) * number(site, "lateness_seconds"))?;
            let found = queried(
                &prometheus,
                &format!("zaudit_lateness_seconds_total{{{whose},kind=\"{kind}\"}}"),
            )?;
            ensure!(found.len() == 1 && (found[0] - lateness).abs() <= 0.001, {
                format!("{found:?} {lateness}")
            });
        }
        for (metric, expected) in [
            ("health_ok", 1.0),
            ("last_report", 1.0),
            ("report_timestamp_seconds", number(&json["process"], "taken")),
            ("start_timestamp_seconds", number(&json["process"], "started")),
        ] {
            let found = queried(&prometheus, &format!("zaudit_{metric}{{{whose}}}"))?;
            ensure!(found == [expected], "{metric}: {found:?}, the report says {expected}");
        }
        let places = queried(&prometheus, &format!("sum(zaudit_place_leaked{{{whose}}})"))?;
        ensure!(places == [run.sum(leaked)?], "{places:?}");
    }
    let blamed =
        queried(&prometheus, r#"count(zaudit_place_leaked{place=~"GzipForgotten.pack:[0-9]+"})"#)?;
    ensure!(blamed == [2.0], "two JVMs of one program: {blamed:?}");
    let hostile = queried(&prometheus, r#"zaudit_place_leaked{place=~"a\"},.*</script>.*"}"#)?;
    ensure!(hostile == [1.0], "hostile names: {hostile:?}");
    dashboard(kit, &prometheus)
}

fn prometheus_files() -> PathBuf {
    repository().join("docs/prometheus")
}

/// Prometheus answers each query of the dashboard, and finds something.
fn dashboard(kit: &Kit, prometheus: &str) -> Result<()> {
    let text = fs::read_to_string(prometheus_files().join("dashboard.json"))
        .map_err(|error| error.to_string())?;
    let dashboard: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let panels = dashboard["panels"].as_array().ok_or("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array()).flatten();
    let mut queries = 0;
    for target in targets {
        let query = target["expr"].as_str().ok_or_else(|| format!("no query: {target}"))?;
        let variables = [("$__rate_interval", "5m"), ("$instance", ".*"), ("$program", ".*")];
        let query = variables
            .iter()
            .fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
        let mut promtool = kit.tools.command("promtool")?;
        let url = format!("http://{prometheus}");
        let found = Said::of(promtool.args(["query", "instant", &url, &query]))?.done()?;
        ensure!(found.contains(" => "), "{query} finds nothing: {found:?}");
        queries += 1;
    }
    ensure!(queries >= panels.len(), "{queries} queries for {} panels", panels.len());
    Ok(())
}

/// A server of somebody else's that is killed when its value goes.
struct Served(Child);

impl Served {
    /// Starts it and gives the address that it says it listens to.
    fn start(command: &mut Command) -> Result<(Self, String)> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let served = Self(child);
        let (sender, said) = channel();
        // Read to its end: a Go program dies when the reader of its standard error is gone.
        std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(std::io::Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        let mut log = String::new();
        let address = loop {
            let line = said
                .recv_timeout(PATIENCE)
                .map_err(|_| format!("{command:?} does not listen:\n{log}"))?;
            if let (true, Some((_, port))) =
                (line.contains("Listening on"), line.split_once("address=127.0.0.1:"))
            {
                break format!("127.0.0.1:{}", port.split_whitespace().next().unwrap_or_default());
            }
            log.push_str(&line);
            log.push('\n');
        };
        Ok((served, address))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of a page.
fn got(address: &str, page: &str) -> Result<String> {
    let failed = |error: std::io::Error| format!("{address}{page}: {error}");
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    // Of 1.0, so that the body comes as it is.
    write!(stream, "GET {page} HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| format!("{address}{page}: {answer}"))?;
    ensure!(head.contains(" 200 "), "{address}{page}: {answer}");
    Ok(body.to_owned())
}

/// A relay in front of the collector.
struct Relayed {
    address: String,
    /// A message for each scrape that was answered.
    scrapes: std::sync::mpsc::Receiver<()>,
}

fn relayed(exporter: String) -> Result<Relayed> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
    let (sender, scrapes) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let Ok(body) = got(&exporter, "/metrics") else { return };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let answered =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            if answered.is_err() || sender.send(()).is_err() {
                return;
            }
        }
    });
    Ok(Relayed { address, scrapes })
}

/// The values that Prometheus has for a query.
fn queried(prometheus: &str, query: &str) -> Result<Vec<f64>> {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let body = got(prometheus, &format!("/api/v1/query?query={escaped}"))?;
    let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    let results = answer["data"]["result"].as_array().ok_or_else(|| format!("{query}: {body}"))?;
    let value = |result: &Value| result["value"][1].as_str().and_then(|value| value.parse().ok());
    results.iter().map(|result| value(result).ok_or_else(|| format!("{query}: {body}"))).collect()
}
