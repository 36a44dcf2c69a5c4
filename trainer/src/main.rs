//! The `crossover` command: races, training, sampling, evaluation and reports.
//!
//! [`arguments`] is what can be typed, [`settings`] what it means, [`commands`] what is done about it; [`terminal`] and
//! [`report`] show a run's events, [`traces`] how a text was written. Standard output is for data; everything else goes
//! to standard error.

mod allocator;
mod arguments;
mod commands;
mod devices;
mod distributed;
mod exports;
mod machine;
mod peer;
mod presets;
mod report;
mod seeds;
mod settings;
mod sweep;
mod terminal;
mod traces;
mod writing;

use std::process::ExitCode;

use clap::Parser;
use crossover::error::{Error, Kind};

use arguments::{Arguments, Command};
use distributed::Leaving;

fn main() -> ExitCode {
    allocator::keep_pages();
    devices::expect_no_desktop();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refused) if distributed::speaks() => refused.exit(),
        Err(refused) => return quietly(refused.exit_code() as u8),
    };
    let result = match arguments.command {
        None => commands::run::race(&arguments.race),
        Some(Command::Race(race)) => commands::run::race(&race),
        Some(Command::Train(train)) => commands::run::train(&train),
        Some(Command::Sample(sample)) => commands::sample::run(&sample),
        Some(Command::Trace(trace)) => commands::trace::run(&trace.command),
        Some(Command::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Command::Corpus(corpus)) => commands::corpus::run(&corpus.command),
        Some(Command::Flops(flops)) => commands::flops::run(&flops),
        Some(Command::Bench(bench)) => commands::bench::run(&bench),
        Some(Command::Export(export)) => commands::export::run(&export),
        Some(Command::Import(import)) => commands::import::run(&import),
        Some(Command::Report(report)) => commands::report::run(&report),
        Some(Command::Sweep(sweep)) => commands::sweep::run(&sweep),
        Some(Command::Plan(plan)) => commands::plan::run(&plan),
        Some(Command::Serve(serve)) => commands::serve::run(&serve),
        Some(Command::Doctor(doctor)) => commands::doctor::run(&doctor),
    };
    match result {
        Ok(()) => {
            distributed::leave(false);
            ExitCode::SUCCESS
        }
        Err(failure) => end(&failure),
    }
}

/// Says what went wrong and turns it into an exit code: 1 failed at work, 2 bad input, 130 interrupted.
fn end(failure: &anyhow::Error) -> ExitCode {
    let ours = failure.downcast_ref::<Error>();
    let kind = ours.map_or(Kind::Work, Error::kind);
    let code = match kind {
        Kind::Input => 2,
        Kind::Work => 1,
        Kind::Interrupted => 130,
    };
    let leaving = distributed::leave(true);
    if let Leaving::Quietly = leaving {
        return quietly(code);
    }
    let word = match kind {
        Kind::Interrupted => "interrupted",
        Kind::Input | Kind::Work => "error",
    };
    // Our own errors say their cause themselves.
    let mut said = Vec::new();
    for cause in failure.chain() {
        said.push(cause.to_string());
        if cause.is::<Error>() {
            break;
        }
    }
    eprintln!("{word}: {}", said.join(": "));
    if let Some(hint) = ours.and_then(Error::hint) {
        eprintln!("hint: {hint}");
    }
    #[cfg(feature = "mpi")]
    if let Leaving::Alone = leaving {
        distributed::abort(code);
    }
    ExitCode::from(code)
}

/// Ends one of several processes that have failed alike, after the first has had time to say why: launchers end all of them as
/// soon as one does.
fn quietly(code: u8) -> ExitCode {
    std::thread::sleep(std::time::Duration::from_secs(2));
    ExitCode::from(code)
}
