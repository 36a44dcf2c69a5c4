//! Grids: Latin squares and small sudokus, one to a window, whose number is known exactly.
//!
//! Every valid grid has a rank, and ranks are drawn without replacement: a test grid was never trained on, and each is
//! equally likely, so `ln(count)` nats are the floor of a grid. (A model that remembers every training grid could rule
//! those out, and gain `ln(count / (count - trained))` on a held-out grid: 0.006 nats for 1000 of `latin-5`.) Counts of
//! Latin squares are OEIS A002860, the 288 sudokus A107739.

use std::collections::HashSet;

use super::{Alphabet, CorpusConfig, Parts, Tokenizer, at_least_a_window, at_most_generated};
use crate::error::{Error, Result, nearest};
use crate::random::{Purpose, Stream};

/// A kind of grid: its rules, and a numbering of every grid that keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    /// `latin-5` and so on.
    pub name: &'static str,
    /// Cells in a row, and symbols.
    pub side: usize,
    /// Cells in a grid, row after row.
    pub cells: usize,
    /// Cells that hold every symbol once: rows, columns, and boxes if there are any.
    groups: Vec<Vec<usize>>,
    /// The grids that symmetry doesn't explain, one after the other.
    bases: Vec<u8>,
    symmetry: Symmetry,
}

/// How every grid comes from exactly one base in exactly one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    /// Bases have the first row and the first column in order: permute all columns, then all rows but the first.
    ColumnsAndRows,
    /// Bases have the first row in order: permute the symbols. (Other permutations would break boxes.)
    Symbols,
}

struct Rules {
    name: &'static str,
    side: usize,
    /// Rows and columns of a box, where there are boxes.
    boxes: Option<(usize, usize)>,
    /// Default budget: grids to train on, and to hold out for each of validation and test.
    train: u64,
    held_out: u64,
}

const KINDS: [Rules; 4] = [
    Rules {
        name: "latin-5",
        side: 5,
        boxes: None,
        train: 1_000,
        held_out: 1_000,
    },
    Rules {
        name: "latin-6",
        side: 6,
        boxes: None,
        train: 1_000,
        held_out: 1_000,
    },
    // All 288 there are.
    Rules {
        name: "sudoku-4",
        side: 4,
        boxes: Some((2, 2)),
        train: 144,
        held_out: 72,
    },
    Rules {
        name: "sudoku-6",
        side: 6,
        boxes: Some((2, 3)),
        train: 1_000,
        held_out: 1_000,
    },
];

/// Budgets are rounded down to whole grids; no grid is in two parts, or twice in one.
pub(super) fn parts(config: &CorpusConfig, name: &str, seed: u64) -> Result<Parts> {
    let rules = rules(name)?;
    let cells = rules.side * rules.side;
    if let Some(length) = config.length.filter(|&length| length != cells) {
        return Err(Error::input(format!(
            "`--length {length}` doesn't suit `grids:{name}`: each window is one grid of {cells} cells"
        ))
        .with_hint("leave `--length` out"));
    }
    let budget = |flag, asked: Option<u64>, default: u64| match asked {
        Some(tokens) => Ok(at_least_a_window(flag, tokens, cells)? / cells as u64),
        None => Ok(default),
    };
    let unique = budget("--unique", config.unique, rules.train)?;
    let held_out = budget("--held-out", config.held_out, rules.held_out)?;
    let grid = Grid::new(name)?;
    let left = grid.count().saturating_sub(held_out.saturating_mul(2));
    if unique > left {
        let hint = match left * cells as u64 {
            0 => "hold out less".to_owned(),
            tokens => format!("`--unique` can be at most {tokens} (tokens); or hold out less"),
        };
        return Err(Error::input(format!(
            "there are {} grids of `{name}`: too few for {unique} to train on beside twice {held_out} held out",
            grid.count()
        ))
        .with_hint(hint));
    }
    at_most_generated(unique * cells as u64, held_out * cells as u64)?;

    // What is held out is drawn first, so that it stays the same when the training budget grows.
    let mut stream = Stream::new(seed, Purpose::Source, 0, 0);
    let mut drawn = HashSet::new();
    let test = grid.draw_new(&mut stream, &mut drawn, held_out);
    let validation = grid.draw_new(&mut stream, &mut drawn, held_out);
    let train = grid.draw_new(&mut stream, &mut drawn, unique);
    let tokenizer = Tokenizer::symbols(Alphabet::new(('1'..='9').take(grid.side))?);
    Ok(Parts {
        train: train.into(),
        validation,
        test,
        floor_nats: Some(libm::log(grid.count() as f64) / cells as f64),
        grid: Some(grid),
        ..Parts::of(tokenizer, cells)
    })
}

fn rules(name: &str) -> Result<&'static Rules> {
    KINDS
        .iter()
        .find(|rules| rules.name == name)
        .ok_or_else(|| {
            let names = KINDS.map(|rules| rules.name);
            let known = format!("there are `{}`", names.join("`, `"));
            let hint = match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`? {known}"),
                None => known,
            };
            Error::input(format!("there are no grids `{name}`")).with_hint(hint)
        })
}

impl Grid {
    /// The kind of this name: `latin-5`, `latin-6`, `sudoku-4` or `sudoku-6`.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(name: &str) -> Result<Self> {
        let &Rules {
            name, side, boxes, ..
        } = rules(name)?;
        let cells = side * side;
        let rows = (0..side).map(|row| (0..side).map(|column| row * side + column).collect());
        let columns = (0..side).map(|column| (column..cells).step_by(side).collect());
        let mut groups: Vec<Vec<usize>> = rows.chain(columns).collect();
        if let Some((height, width)) = boxes {
            let box_of = |cell: &usize| (cell / side / height, cell % side / width);
            for down in 0..side / height {
                for across in 0..side / width {
                    groups.push(
                        (0..cells)
                            .filter(|cell| box_of(cell) == (down, across))
                            .collect(),
                    );
                }
            }
        }
        let symmetry = match boxes {
            None => Symmetry::ColumnsAndRows,
            Some(_) => Symmetry::Symbols,
        };
        let mut grid = Self {
            name,
            side,
            cells,
            groups,
            bases: Vec::new(),
            symmetry,
        };
        grid.bases = grid.enumerate_bases();
        Ok(grid)
    }

    /// Number of valid grids.
    pub fn count(&self) -> u64 {
        (self.bases.len() / self.cells) as u64 * self.images()
    }

    /// Number of grids that come from one base.
    fn images(&self) -> u64 {
        match self.symmetry {
            Symmetry::ColumnsAndRows => factorial(self.side) * factorial(self.side - 1),
            Symmetry::Symbols => factorial(self.side),
        }
    }

    /// Whether every rule holds: `side` squared tokens, and no symbol twice in a row, a column or a box.
    pub fn is_valid(&self, tokens: &[u32]) -> bool {
        let all = (1_u64 << self.side) - 1;
        tokens.len() == self.cells
            && tokens.iter().all(|&token| (token as usize) < self.side)
            && self.groups.iter().all(|group| {
                let seen = group.iter().fold(0, |seen, &cell| seen | 1 << tokens[cell]);
                seen == all
            })
    }

    /// The valid grid of this rank; different ranks are different grids.
    ///
    /// # Panics
    /// If `rank` is not below [`Grid::count`].
    pub fn unrank(&self, rank: u64) -> Vec<u32> {
        assert!(rank < self.count(), "rank {rank} of {} grids", self.count());
        let (base, image) = (rank / self.images(), rank % self.images());
        let base = &self.bases[base as usize * self.cells..][..self.cells];
        match self.symmetry {
            Symmetry::Symbols => {
                let renamed = permutation(image, self.side);
                base.iter()
                    .map(|&symbol| renamed[usize::from(symbol)])
                    .collect()
            }
            Symmetry::ColumnsAndRows => {
                let columns = permutation(image % factorial(self.side), self.side);
                let rows = permutation(image / factorial(self.side), self.side - 1);
                let rows = std::iter::once(0).chain(rows.into_iter().map(|row| row as usize + 1));
                rows.flat_map(|row| columns.iter().map(move |&column| (row, column as usize)))
                    .map(|(row, column)| u32::from(base[row * self.side + column]))
                    .collect()
            }
        }
    }

    /// So many grids that were not drawn before.
    fn draw_new(&self, stream: &mut Stream, drawn: &mut HashSet<u64>, grids: u64) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(grids as usize * self.cells);
        for _ in 0..grids {
            let rank = loop {
                let rank = stream.below(self.count());
                if drawn.insert(rank) {
                    break rank;
                }
            };
            tokens.extend(self.unrank(rank));
        }
        tokens
    }

    fn enumerate_bases(&self) -> Vec<u8> {
        let together = |cell: usize, other: usize| {
            self.groups
                .iter()
                .any(|group| group.contains(&cell) && group.contains(&other))
        };
        let earlier: Vec<Vec<usize>> = (0..self.cells)
            .map(|cell| (0..cell).filter(|&other| together(cell, other)).collect())
            .collect();
        let mut bases = Vec::new();
        self.fill(&mut Vec::with_capacity(self.cells), &earlier, &mut bases);
        bases
    }

    /// Puts every symbol that fits into the next cell, and goes on; complete grids are added to `bases`.
    fn fill(&self, cells: &mut Vec<u8>, earlier: &[Vec<usize>], bases: &mut Vec<u8>) {
        let cell = cells.len();
        if cell == self.cells {
            bases.extend_from_slice(cells);
            return;
        }
        let (row, column) = (cell / self.side, cell % self.side);
        let symbols = match self.symmetry {
            _ if row == 0 => column..column + 1,
            Symmetry::ColumnsAndRows if column == 0 => row..row + 1,
            _ => 0..self.side,
        };
        for symbol in symbols {
            let symbol = symbol as u8;
            if earlier[cell].iter().all(|&other| cells[other] != symbol) {
                cells.push(symbol);
                self.fill(cells, earlier, bases);
                cells.pop();
            }
        }
    }
}

fn factorial(number: usize) -> u64 {
    (1..=number as u64).product()
}

/// The permutation of 0..`length` whose Lehmer code is `index` in the factorial number system.
fn permutation(mut index: u64, length: usize) -> Vec<u32> {
    let mut left: Vec<u32> = (0..length as u32).collect();
    (1..=length)
        .rev()
        .map(|choices| {
            let choice = index % choices as u64;
            index /= choices as u64;
            left.remove(choice as usize)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn grid(name: &str) -> Grid {
        Grid::new(name).unwrap()
    }

    fn config(name: &str, unique: Option<u64>, held_out: Option<u64>) -> CorpusConfig {
        CorpusConfig {
            source: vec![format!("grids:{name}")],
            unique,
            held_out,
            ..CorpusConfig::default()
        }
    }

    #[test]
    fn counts_are_the_known_ones() {
        let counts = KINDS.map(|rules| grid(rules.name).count());
        assert_eq!(counts, [161_280, 812_851_200, 288, 28_200_960]);
    }

    #[test]
    fn sudoku_4_has_as_many_grids_as_trying_all_rows_finds() {
        let kind = grid("sudoku-4");
        let rows: Vec<Vec<u32>> = (0..24).map(|index| permutation(index, 4)).collect();
        let mut valid = 0;
        for first in &rows {
            for second in &rows {
                for third in &rows {
                    for fourth in &rows {
                        let cells: Vec<u32> = [first, second, third, fourth]
                            .into_iter()
                            .flatten()
                            .copied()
                            .collect();
                        valid += u64::from(kind.is_valid(&cells));
                    }
                }
            }
        }
        assert_eq!(valid, kind.count());
    }

    #[test]
    fn latin_5_has_as_many_grids_as_fixing_the_first_row_only_finds() {
        // Another decomposition: without boxes, renaming symbols moves every square to one with an ordered first row.
        let mut kind = grid("latin-5");
        kind.symmetry = Symmetry::Symbols;
        kind.bases = kind.enumerate_bases();
        assert_eq!(kind.count(), 161_280);
    }

    #[test]
    fn ranks_number_every_grid_once() {
        for name in ["sudoku-4", "latin-5"] {
            let kind = grid(name);
            let mut seen = HashSet::new();
            for rank in 0..kind.count() {
                let cells = kind.unrank(rank);
                assert!(kind.is_valid(&cells), "{name} {rank}: {cells:?}");
                // Three bits a cell: 75 bits for the larger kind.
                seen.insert(
                    cells
                        .iter()
                        .fold(0_u128, |packed, &cell| packed << 3 | u128::from(cell)),
                );
            }
            assert_eq!(seen.len() as u64, kind.count(), "{name}");
        }
    }

    #[test]
    fn ranks_of_the_large_kinds_are_valid_and_distinct() {
        for name in ["latin-6", "sudoku-6"] {
            let kind = grid(name);
            let (mut ranks, mut grids) = (HashSet::new(), HashSet::new());
            let mut stream = Stream::new(1, Purpose::Source, 0, 0);
            let near_the_ends = (0..2_000).flat_map(|step| [step, kind.count() - 1 - step]);
            for rank in near_the_ends.chain((0..10_000).map(|_| stream.below(kind.count()))) {
                let cells = kind.unrank(rank);
                assert!(kind.is_valid(&cells), "{name} {rank}: {cells:?}");
                assert_eq!(ranks.insert(rank), grids.insert(cells), "{name} {rank}");
            }
        }
    }

    #[test]
    fn each_symbol_is_equally_likely_in_each_cell() {
        let kind = grid("latin-6");
        let mut stream = Stream::new(2, Purpose::Source, 0, 0);
        let draws = 12_000;
        let mut counts = vec![[0_f64; 6]; kind.cells];
        for _ in 0..draws {
            let cells = kind.unrank(stream.below(kind.count()));
            for (counts, cell) in counts.iter_mut().zip(cells) {
                counts[cell as usize] += 1.0;
            }
        }
        for counts in counts {
            let expected = f64::from(draws) / 6.0;
            let chi_square: f64 = counts
                .iter()
                .map(|count| (count - expected).powi(2) / expected)
                .sum();
            // 5 degrees of freedom: beyond 30 with probability 1.5e-5, 36 cells.
            assert!(chi_square < 30.0, "{counts:?}");
        }
    }

    #[test]
    fn broken_grids_are_not_valid() {
        let kind = grid("sudoku-4");
        let good = [0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0];
        assert!(kind.is_valid(&good));
        for cell in 0..kind.cells {
            for wrong in [(good[cell] + 1) % 4, 4, 70] {
                let mut cells = good;
                cells[cell] = wrong;
                assert!(!kind.is_valid(&cells));
            }
        }
        assert!(!kind.is_valid(&good[1..]));
        // A Latin square whose boxes are wrong.
        assert!(!kind.is_valid(&[0, 1, 2, 3, 1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2]));
    }

    #[test]
    fn parts_share_no_grid_and_have_default_sizes() {
        let sizes = [(1_000, 1_000), (1_000, 1_000), (144, 72), (1_000, 1_000)];
        for (rules, (train, held_out)) in KINDS.iter().zip(sizes) {
            let parts = parts(&config(rules.name, None, None), rules.name, 1).unwrap();
            let kind = parts.grid.unwrap();
            assert_eq!(parts.train.len(), train * kind.cells);
            assert_eq!(parts.validation.len(), held_out * kind.cells);
            assert_eq!(parts.test.len(), held_out * kind.cells);
            let all = [parts.train.to_vec(), parts.validation, parts.test].concat();
            let distinct: HashSet<&[u32]> = all.chunks(kind.cells).collect();
            assert_eq!(distinct.len(), train + 2 * held_out);
            assert!(distinct.into_iter().all(|cells| kind.is_valid(cells)));
            assert_eq!(parts.tokenizer.mask_id() as usize, kind.side);
            assert_eq!(parts.tokenizer.symbol(0), "1");
        }
    }

    #[test]
    fn the_floor_is_the_entropy_of_a_uniform_grid() {
        let parts = parts(&config("latin-5", None, None), "latin-5", 1).unwrap();
        assert!((parts.floor_nats.unwrap() - 161_280_f64.ln() / 25.0).abs() < 1e-15);
    }

    #[test]
    fn a_larger_budget_keeps_what_is_held_out_and_extends_training() {
        let small = parts(&config("latin-5", Some(260), None), "latin-5", 4).unwrap();
        let large = parts(&config("latin-5", Some(5_000), None), "latin-5", 4).unwrap();
        assert_eq!(small.train.len(), 250, "rounded down to whole grids");
        assert_eq!(
            (&small.validation, &small.test),
            (&large.validation, &large.test)
        );
        assert_eq!(large.train.read(0..250), small.train.to_vec());
        let other = parts(&config("latin-5", Some(5_000), None), "latin-5", 5).unwrap();
        assert_ne!(other.train, large.train);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let hint = |config: CorpusConfig, name: &str| {
            let error = parts(&config, name, 1).err().unwrap();
            assert_eq!(error.kind(), Kind::Input);
            error.hint().unwrap().to_owned()
        };
        assert_eq!(
            hint(config("sudoku-4", Some(145 * 16), None), "sudoku-4"),
            "`--unique` can be at most 2304 (tokens); or hold out less"
        );
        assert_eq!(
            hint(config("sudoku-4", None, Some(u64::MAX)), "sudoku-4"),
            "hold out less"
        );
        assert_eq!(
            hint(config("latin-5", Some(24), None), "latin-5"),
            "give at least 25"
        );
        let most = Some(800_000_000 * 36);
        assert_eq!(
            hint(config("latin-6", most, None), "latin-6"),
            "give less `--unique` or `--held-out`"
        );
        let wrong_length = CorpusConfig {
            length: Some(64),
            ..config("latin-5", None, None)
        };
        assert_eq!(hint(wrong_length, "latin-5"), "leave `--length` out");
        assert_eq!(
            hint(config("latin5", None, None), "latin5"),
            "did you mean `latin-5`? there are `latin-5`, `latin-6`, `sudoku-4`, `sudoku-6`"
        );
    }
}
