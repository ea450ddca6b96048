//! `ordinary COUNT [SEED]`: so many ordinary CloudTrail records, one a line, for `cordon replay -`.

use anyhow::{Context, Result};
use cordon_support::ordinary;
use std::io::{BufWriter, Write};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().context("ordinary COUNT [SEED]")?.parse().context("COUNT is no number")?;
    let seed: u64 = arguments.next().map_or(Ok(1), |seed| seed.parse()).context("SEED is no number")?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for record in ordinary::records(count, seed) {
        serde_json::to_writer(&mut out, &record)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
