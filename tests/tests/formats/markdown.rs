//! Markdown in the hands of `cmark-gfm`, GitHub's parser.
//!
//! Invariant: what a program is called is shown, and nothing of it is markup.

use crate::{Kit, filtered, hostile, rendered};
use zaudit_core::options::Format;
use zaudit_tests::Result;
use zaudit_tests::ensure;

/// The page that it becomes. What GitHub refuses besides, `<script>` for example, the parser
/// marks.
fn page(kit: &Kit, markdown: &[u8]) -> Result<String> {
    let mut parser = kit.tools.command("cmark-gfm")?;
    let extensions = ["table", "strikethrough", "autolink", "tagfilter"];
    parser.arg("--unsafe").args(extensions.iter().flat_map(|name| ["-e", name]));
    filtered(&mut parser, markdown)?.done()
}

pub(crate) fn table(kit: &Kit) -> Result<()> {
    let run = kit.run("GzipForgotten")?;
    let page = page(kit, run.text("md")?.as_bytes())?;
    let json = run.json()?;
    let sites = json["sites"].as_array().ok_or("no sites")?;
    ensure!(page.matches("<td>").count() == 4 * sites.len(), page.clone());
    ensure!(page.matches("<details>").count() == sites.len() + 1, page.clone());
    ensure!(page.matches("</details>").count() == sites.len() + 1, page.clone());
    let shown = |what: String| match page.contains(&what) {
        true => Ok(()),
        false => Err(format!("no {what} in {page}")),
    };
    for (at, site) in sites.iter().enumerate() {
        let head = format!("LEAK {} of {}", at + 1, sites.len());
        shown(format!("<td>{head}</td>"))?;
        shown(format!("<summary>{head}</summary>\n<pre><code class=\"language-text\">{head}  "))?;
        let class = if site["kind"] == "inflater" { "Inflater" } else { "Deflater" };
        let (ended, created) = (&site["ended"], &site["created"]);
        shown(format!("<td>{class}s: {ended} of {created} were ended: nothing called end()</td>"))?;
    }
    for method in ["pack", "unpack"] {
        shown(format!("<td><code>GzipForgotten.{method}(GzipForgotten.java:"))?;
    }
    shown("<code class=\"language-text\">TOTALS ".into())
}

pub(crate) fn clean(kit: &Kit) -> Result<()> {
    let run = kit.run("GzipClosed")?;
    let page = page(kit, run.text("md")?.as_bytes())?;
    ensure!(page.starts_with("<p><strong>zaudit</strong>: no leaks: "), page.clone());
    ensure!(page.lines().count() == 1, page);
    Ok(())
}

pub(crate) fn hostile_names(kit: &Kit) -> Result<()> {
    let page = page(kit, &rendered(&hostile(), Format::Markdown))?;
    ensure!(page.matches("<td>").count() == 4, page.clone());
    // The names are there, as text.
    ensure!(page.matches("&lt;script&gt;alert('x')&lt;/script&gt;").count() >= 2, page.clone());
    for markup in ["<script", "</script", "<em>", "<a ", "<img"] {
        ensure!(!page.contains(markup), "{markup} in {page}");
    }
    ensure!(!page.contains(['\u{1b}', '\u{202e}', '\0']), page);
    Ok(())
}
