#![no_main]

use crossover_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &str| {
    bounded(file.len(), || {
        crossover::train::RunConfig::from_toml(file, "fuzz")
    });
});
