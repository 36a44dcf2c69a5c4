#![no_main]

use crossover_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    bounded(file.len(), || {
        crossover::train::Checkpoint::from_bytes(file, "fuzz")
    });
});
