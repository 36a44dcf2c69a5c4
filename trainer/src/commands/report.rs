//! `report`: HTML from run directories.

use anyhow::Result;
use serde::Serialize;

use crate::arguments::ReportArguments;
use crate::commands::{print_json, print_text};
use crate::report;

#[derive(Serialize)]
struct Written {
    event: &'static str,
    report: String,
}

/// Writes the report of each directory, with every figure by itself.
pub fn run(arguments: &ReportArguments) -> Result<()> {
    for folder in &arguments.folders {
        let page = report::write(folder)?.display().to_string();
        report::write_figures(folder)?;
        if arguments.common.json {
            print_json(&Written {
                event: "report",
                report: page,
            })?;
        } else {
            print_text(&format!("{page}\n"))?;
        }
    }
    Ok(())
}
