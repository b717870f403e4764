//! `zaudit render`: a JSON report in another format.
//!
//! Invariant: a report that the agent wrote as JSON comes out as the agent itself would have
//! written it in that format, byte for byte.

use crate::arguments::Render;
use crate::cmd::input;
use crate::error::CliError;

/// Writes one report in another format.
pub(crate) fn run(render: &Render) -> Result<(), CliError> {
    input::expect_readable(&render.outlet)?;
    input::write(&input::read(&render.report)?, &render.outlet)
}
