//! What takes too long for CI.

use anyhow::Result;

pub fn kill() -> Result<()> {
    Ok(())
}

pub fn peer() -> Result<()> {
    Ok(())
}
