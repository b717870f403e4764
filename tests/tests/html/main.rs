//! The HTML report in a real Chromium: it is silent, its table and flame graph do what they
//! promise, by mouse and by keyboard, with scripts and without, whatever the names.
//!
//! The browser is [`browser`]'s, the pages are [`pages`]'. Where no Chromium can be had every case
//! is ignored, and says so. The ignored case `pictures` leaves a picture of each page in the folder
//! that `ZAUDIT_PICTURES` names. Invariant: a page that complains, asks the network for anything or
//! pops anything up fails its case.

mod browser;
mod pages;

use browser::{Browser, Look};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use std::{env, fs};
use zaudit_tests::Result;
use zaudit_tests::ensure;
use zaudit_tests::jvm::Jvm;
use zaudit_tests::suite::{self, TestEnv};

type Page = fn() -> Result<PathBuf>;
type Test = fn(&mut Browser) -> Result<()>;

const CASES: [(&str, Page, Test); 17] = [
    ("summary", pages::service, summary),
    ("sorted_by_click", pages::service, sorted_by_click),
    ("sorted_by_key", pages::service, sorted_by_key),
    ("searched", pages::service, searched),
    ("by_severity", pages::service, by_severity),
    ("opened_and_copied", pages::service, opened_and_copied),
    ("linked", pages::service, linked),
    ("zoomed_by_click", pages::service, zoomed_by_click),
    ("zoomed_by_key", pages::service, zoomed_by_key),
    ("weighed", pages::service, weighed),
    ("measured", pages::measured, measured),
    ("found_in_the_graph", pages::service, found_in_the_graph),
    ("hostile", pages::hostile, hostile),
    ("clean", pages::clean, clean),
    ("empty", pages::empty, empty),
    ("crowd", pages::crowd, crowd),
    ("many", pages::many, many),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let program = browser::program();
    let mut trials: Vec<Trial> = CASES
        .into_iter()
        .map(|(name, page, test)| {
            trial(&program, name, move |program| {
                let mut browser = Browser::open(program, &page()?, Look::default())?;
                test(&mut browser)?;
                browser.silent()
            })
        })
        .collect();
    trials.push(trial(&program, "without_scripts", without_scripts));
    trials.push(trial(&program, "of_a_real_program", of_a_real_program));
    trials.push(
        trial(&program, "pictures", pictures).with_kind("on request").with_ignored_flag(true),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A case; without a browser it is ignored.
fn trial(
    program: &Result<PathBuf>,
    name: &str,
    test: impl FnOnce(&Path) -> Result<()> + Send + 'static,
) -> Trial {
    match program.clone() {
        Ok(program) => Trial::test(name, move || test(&program).map_err(Failed::from)),
        Err(why) => suite::ignored(name, &format!("needs Chromium: {why}")),
    }
}

/// The names in the table's second column, top down.
const NAMES: &str = "[...document.querySelectorAll('#table .row th')].map(th => th.querySelector('code').textContent)";
const FIRST: &str = "document.querySelector('#table .row code').textContent";
const ROWS: &str = "document.querySelectorAll('#table .row').length";

fn summary(page: &mut Browser) -> Result<()> {
    page.ensure("document.querySelector('h1').textContent.startsWith('LEAK: 38 Inflaters and 1,460 Deflaters in 2 findings were never ended')", true)?;
    page.ensure(
        "document.querySelector('.first a code').textContent",
        "org.acme.http.Gzip.encode",
    )?;
    page.ensure("document.querySelectorAll('svg.growth').length > 2", true)?;
    page.ensure(
        "document.querySelector('#health p').textContent",
        "Everything was seen: every count is exact.",
    )?;
    page.ensure("document.querySelectorAll('button:not([type=button])').length", 0)?;
    // Every control has a name.
    page.ensure(
        "[...document.querySelectorAll('input')].every(input => input.labels.length === 1)",
        true,
    )
}

fn sorted_by_click(page: &mut Browser) -> Result<()> {
    page.ensure(FIRST, "org.acme.http.Gzip.encode")?;
    page.click("th[data-key=created] button")?;
    page.settles(FIRST, "org.acme.codec.Frame.decode")?;
    page.settles("document.querySelector('th[data-key=created]').ariaSort", "descending")?;
    page.settles("document.querySelectorAll('[aria-sort]').length", 1)?;
    page.click("th[data-key=created] button")?;
    page.settles(FIRST, "org.acme.Main.main")?;
    page.click("th[data-key=name] button")?;
    page.settles(&format!("{NAMES}.every((name, at, all) => !at || all[at - 1] <= name)"), true)?;
    page.click("th[data-key=rank] button")?;
    page.settles(FIRST, "org.acme.http.Gzip.encode")
}

fn sorted_by_key(page: &mut Browser) -> Result<()> {
    page.ask("document.querySelector('th[data-key=live] button').focus()")?;
    page.press("Enter")?;
    page.settles("document.querySelector('th[data-key=live]').ariaSort", "descending")?;
    page.press("Tab")?;
    page.settles("document.activeElement.parentNode.dataset.key", "held")?;
    page.press(" ")?;
    page.settles(FIRST, "org.acme.session.Session.<init>")
}

fn searched(page: &mut Browser) -> Result<()> {
    page.click("#find")?;
    page.write("handler.READ(")?;
    page.settles(
        NAMES,
        serde_json::json!(["org.acme.codec.Frame.decode", "org.acme.codec.Body.inflate"]),
    )?;
    page.settles("document.querySelector('#shown').textContent", "2 of 2 shown, 4 filtered out")?;
    page.write("nothing has this")?;
    page.settles(ROWS, 0)
}

fn by_severity(page: &mut Browser) -> Result<()> {
    page.ensure(ROWS, 6)?;
    page.click("#groups [value=leak]")?;
    page.click("#groups [value=clean]")?;
    page.settles(
        "[...document.querySelectorAll('#table .row .badge')].map(badge => badge.textContent)",
        serde_json::json!(["suspect", "suspect", "expected"]),
    )
}

fn opened_and_copied(page: &mut Browser) -> Result<()> {
    page.call(
        "Browser.grantPermissions",
        serde_json::json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    )?;
    page.ask("document.querySelector('#p2 summary').focus()")?;
    page.press("Enter")?;
    page.settles("document.querySelector('#p2 details').open", true)?;
    page.settles(
        "document.querySelector('#p2 mark').textContent",
        "at org.acme.codec.Frame.decode(Frame.java:21)",
    )?;
    page.settles("document.querySelectorAll('#p2 .copy').length", 1)?;
    page.click("#p2 .copy")?;
    page.settles("document.querySelector('#p2 .copy').textContent", "Copied")?;
    page.settles("navigator.clipboard.readText().then(text => text === document.querySelector('#p2 .stack').textContent && text.split('\\n').length)", 7)?;
    // The first place has two stacks, each with its own.
    page.click("#p1 .row th")?;
    page.settles("document.querySelectorAll('#p1 details.site').length", 2)?;
    page.click("#p1 details.site:nth-of-type(2) summary")?;
    page.settles(
        "document.querySelector('#p1 details.site:nth-of-type(2) .stack').textContent.includes('Push.send')",
        true,
    )
}

fn linked(page: &mut Browser) -> Result<()> {
    page.click(".first a")?;
    page.settles("document.querySelector('#p1 details').open", true)?;
    page.ask("location.hash = document.querySelector('#p4 .site').id")?;
    page.settles("document.querySelector('#p4 details').open", true)
}

fn zoomed_by_click(page: &mut Browser) -> Result<()> {
    let frame = |name: &str| {
        format!(
            "[...document.querySelectorAll('.frame')].find(frame => frame.title.startsWith('{name}('))"
        )
    };
    page.ensure("document.querySelectorAll('#crumbs button').length", 0)?;
    page.settles(&format!("{} !== undefined", frame("org.acme.http.Push.send")), true)?;
    page.ask(&format!("{}.id = 'push'", frame("org.acme.http.Push.send")))?;
    page.ensure(
        "document.querySelector('#push').offsetWidth < document.querySelector('#graph').offsetWidth / 3",
        true,
    )?;
    page.click("#push")?;
    page.settles(
        &format!(
            "{}.offsetWidth === document.querySelector('#graph').offsetWidth",
            frame("org.acme.http.Push.send")
        ),
        true,
    )?;
    page.settles(
        "[...document.querySelectorAll('#crumbs button')].map(button => button.textContent)[0]",
        "all",
    )?;
    page.settles("document.querySelectorAll('.frame.above').length", 5)?;
    page.click("#crumbs button")?;
    page.settles("document.querySelectorAll('.frame.above').length", 0)?;
    page.click(".frame[aria-level='6']")?;
    page.settles("document.querySelectorAll('.frame.above').length", 5)?;
    page.press("Escape")?;
    page.settles("document.querySelectorAll('.frame.above').length", 0)?;
    page.settles("document.querySelector('.frame.blamed').textContent.startsWith('▸ ')", true)
}

fn zoomed_by_key(page: &mut Browser) -> Result<()> {
    page.ask("document.querySelector('.frame[tabindex=\"0\"]').focus()")?;
    for key in ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"] {
        page.press(key)?;
    }
    page.settles("document.activeElement.textContent", "Handler.reply:24")?;
    page.press("ArrowRight")?;
    page.settles("document.activeElement.textContent", "Handler.event:14")?;
    page.settles(
        "document.querySelector('#described').textContent.endsWith(': 310 leaked, 20.7 % of all')",
        true,
    )?;
    page.press("Enter")?;
    page.settles("document.activeElement.getAttribute('aria-level')", "5")?;
    page.settles(
        "document.activeElement.offsetWidth === document.querySelector('#graph').offsetWidth",
        true,
    )?;
    page.press("Escape")?;
    page.settles("document.querySelectorAll('.frame.above').length", 0)?;
    page.settles("document.querySelectorAll('.frame[tabindex=\"0\"]').length", 1)
}

fn weighed(page: &mut Browser) -> Result<()> {
    let ensure_title = |page: &mut Browser, words: &str| {
        page.ensure(
            &format!("document.querySelector('.frame.all').title.startsWith('All: {words}')"),
            true,
        )
    };
    page.ensure("document.querySelector('[name=weight]:checked').value", "leaked")?;
    ensure_title(page, "1,498 leaked,")?;
    page.click("[name=weight][value=created]")?;
    ensure_title(page, "15,79")?;
    page.click("#certain")?;
    ensure_title(page, "11,510 created,")?;
    page.click("[name=weight][value=held]")?;
    ensure_title(page, "≈12.8 MiB held")?;
    page.click("[name=weight][value=lateness]")?;
    ensure_title(page, "≈32.9 GiB·s of lateness")
}

/// Bytes that were measured have no `≈`, neither in the table nor in the flame graph.
fn measured(page: &mut Browser) -> Result<()> {
    page.click("[name=weight][value=held]")?;
    page.settles(
        "document.querySelector('.frame.all').title.startsWith('All: 39.1 KiB held')",
        true,
    )?;
    page.click("[name=weight][value=lateness]")?;
    page.settles("document.querySelector('.frame.all').title.includes(' of lateness')", true)?;
    page.settles("document.querySelector('main').textContent.includes('≈')", false)?;
    page.settles(
        "[...document.querySelectorAll('[title]')].some(frame => frame.title.includes('≈'))",
        false,
    )
}

fn found_in_the_graph(page: &mut Browser) -> Result<()> {
    page.click("#find-frame")?;
    page.write("push.send")?;
    page.settles("document.querySelector('#share').textContent", "found in 20.7 %: 310 leaked")?;
    page.settles(
        "[...document.querySelectorAll('.frame.found')].map(frame => frame.textContent)",
        serde_json::json!(["Push.send:58"]),
    )
}

fn hostile(page: &mut Browser) -> Result<()> {
    page.ensure("document.scripts.length", 2)?;
    page.ensure(
        "document.images.length + document.querySelectorAll('script[src], b[onmouseover], [onerror]').length",
        0,
    )?;
    // Opened, searched and drawn: every way that a name takes into the page.
    page.ask(
        "document.querySelectorAll('#table details').forEach(details => { details.open = true })",
    )?;
    for control in ["#find", "#find-frame"] {
        page.click(control)?;
        page.write("<script>")?;
    }
    page.settles(ROWS, 3)?;
    page.settles(FIRST, "a.<script>alert('class')</script>.m")?;
    page.settles("document.querySelectorAll('.frame.found').length", 3)?;
    page.settles("[...document.querySelectorAll('.frame')].map(frame => frame.title).filter(title => /[\\u202e\\u2028\\u0000\\n]/.test(title)).length", 0)?;
    page.settles("document.documentElement.scrollWidth <= innerWidth", true)?;
    page.settles("document.scripts.length", 2)
}

fn clean(page: &mut Browser) -> Result<()> {
    page.ensure(
        "document.querySelector('h1').textContent",
        "no leaks: 2,000 of 2,000 Inflaters ended",
    )?;
    page.ensure("document.querySelectorAll('.first, .frame.blamed').length", 0)?;
    page.ensure("document.querySelector('[name=weight]:checked').value", "created")?;
    page.click("[name=weight][value=leaked]")?;
    page.settles("document.querySelector('#graph').textContent", "Nothing to show.")
}

fn empty(page: &mut Browser) -> Result<()> {
    page.ensure(
        "document.querySelector('h1').textContent",
        "no leaks: no Inflater or Deflater was created",
    )?;
    page.ensure("document.querySelectorAll('#table, #flame').length", 0)
}

fn crowd(page: &mut Browser) -> Result<()> {
    const STACKS: &str = "document.querySelectorAll('#p1 details.site').length";
    page.click("#p1 .row th")?;
    page.settles(STACKS, 20)?;
    page.settles("document.querySelector('#p1 .rest').textContent", "Show 10 more stacks")?;
    page.click("#p1 .rest button")?;
    page.settles(STACKS, 30)?;
    page.click("#p1 details.site:last-child summary")?;
    page.settles(
        "document.querySelector('#p1 details.site:last-child .stack').textContent.split('\\n').length",
        4,
    )?;
    let callers =
        "new Set([...document.querySelectorAll('#p1 .from')].map(from => from.textContent)).size";
    page.settles(callers, 30)
}

fn many(page: &mut Browser) -> Result<()> {
    let milliseconds = "Math.round(performance.getEntriesByType('navigation')[0].loadEventEnd)";
    let loaded = page.ask(milliseconds)?;
    let mut times = vec![format!("loaded in {loaded} ms")];
    let mut timed = |page: &mut Browser, what: &str, expression: &str| -> Result<()> {
        let took = page.ask(&format!("(() => {{ const begun = performance.now(); {expression}; document.body.offsetHeight; return Math.round(performance.now() - begun) }})()"))?;
        times.push(format!("{what} in {took} ms"));
        Ok(())
    };
    page.ensure("document.querySelectorAll('#table tbody').length", 20)?;
    timed(page, "sorted", "document.querySelector('th[data-key=created] button').click()")?;
    timed(
        page,
        "searched",
        "document.querySelector('#find').value = 'Codec9876'; document.querySelector('#find').dispatchEvent(new Event('input', {bubbles: true}))",
    )?;
    page.ensure(FIRST, "org.acme.module36.Codec9876.decode")?;
    page.ensure("document.querySelector('#table .row').parentNode.dataset.at > 300", true)?;
    // Its stack was not in the page until now.
    page.click("#table .row th")?;
    page.settles("document.querySelector('#table .stack').textContent.split('\\n').length", 31)?;
    timed(page, "drawn", "document.querySelector('[name=weight][value=created]').click()")?;
    timed(page, "zoomed", "document.querySelector('.frame[aria-level=\"16\"]').click()")?;
    page.settles("document.querySelectorAll('.frame').length < 10000", true)?;
    page.ask("document.querySelector('#find').value = ''; document.querySelector('#find').dispatchEvent(new Event('input', {bubbles: true}))")?;
    page.click("#more")?;
    page.settles("document.querySelectorAll('#table tbody').length", 120)?;
    println!("10,000 sites: {}", times.join(", "));
    Ok(())
}

/// The table is there, its stacks can be opened, and what needs a script does not show.
fn without_scripts(program: &Path) -> Result<()> {
    let mut page =
        Browser::open(program, &pages::service()?, Look { scripts: false, ..Look::default() })?;
    for (selector, seen) in [
        ("#p1 .row", true),
        ("#p6 .row", true),
        ("noscript p", true),
        ("#flame", false),
        ("#find", false),
        ("#p2 .stack", false),
    ] {
        ensure!(page.sees(selector)? == seen, "{selector} is to be seen: {}", !seen);
    }
    page.click("#p2 summary")?;
    ensure!(page.sees("#p2 .stack")?, "the stack does not open");
    page.silent()
}

/// The page that the agent itself left.
fn of_a_real_program(program: &Path) -> Result<()> {
    let env = TestEnv::ready()?;
    let jvm = Jvm::new(env.default_jdk(), env.fixture("GzipForgotten")?)?;
    let ended = jvm.agent(&env.library, "gc,file=report.html").run()?;
    let mut page = Browser::open(program, &ended.dir().join("report.html"), Look::default())?;
    page.ensure("document.querySelector('h1').textContent.startsWith('LEAK: ')", true)?;
    page.ensure("document.querySelectorAll('.frame.blamed').length > 0", true)?;
    page.ensure(
        "[...document.querySelectorAll('.run dd')].at(-1).textContent",
        "gc,file=report.html",
    )?;
    page.silent()
}

/// Pictures to look at after a change to the page.
fn pictures(program: &Path) -> Result<()> {
    let folder =
        PathBuf::from(env::var_os("ZAUDIT_PICTURES").ok_or("ZAUDIT_PICTURES names no folder")?);
    let dark = Look { dark: true, ..Look::default() };
    let narrow = Look { width: 400, ..Look::default() };
    let mut all = vec![
        ("light", pages::service()?, Look::default()),
        ("dark", pages::service()?, dark),
        ("narrow", pages::service()?, narrow),
        ("without-scripts", pages::service()?, Look { scripts: false, ..Look::default() }),
        ("hostile", pages::hostile()?, Look::default()),
        ("clean", pages::clean()?, Look::default()),
        ("many", pages::many()?, Look::default()),
    ];
    if let Some(report) = env::var_os("ZAUDIT_REPORT") {
        all.push(("report", PathBuf::from(report), Look::default()));
    }
    for (name, page, look) in all {
        let begun = Instant::now();
        let mut browser = Browser::open(program, &page, look)?;
        if name == "light" || name == "dark" {
            browser.ask("document.querySelectorAll('#p1 details, #p3 details').forEach(details => { details.open = true })")?;
        }
        save(&folder.join(format!("{name}.png")), &browser.picture(None)?)?;
        if name == "report" {
            save(&folder.join("flame.png"), &browser.picture(Some("#flame"))?)?;
        }
        println!(
            "{name}: {} bytes, {:?}",
            fs::metadata(&page).map_or(0, |data| data.len()),
            begun.elapsed()
        );
    }
    Ok(())
}

fn save(file: &Path, picture: &str) -> Result<()> {
    let text = file.with_extension("base64");
    fs::write(&text, picture).map_err(|error| format!("{}: {error}", text.display()))?;
    let output =
        Command::new("base64").arg("-d").arg(&text).output().map_err(|error| error.to_string())?;
    fs::write(file, output.stdout).map_err(|error| format!("{}: {error}", file.display()))?;
    fs::remove_file(&text).map_err(|error| error.to_string())
}
