//! Traces with everything in them, for tests here and of the views, and what films promise of them.

use crossover::lab::Template;
use crossover::objective::Objective;
use crossover::sample::{
    Caching, Choice, Footer, Header, Parameters, Parent, Schedule, Settings, Step, Trace,
};

use super::*;

/// What happens to positions in one step: where a token comes, or goes.
pub type Moves<'a> = &'a [(usize, i64)];

/// The trace of these moves over a prompt, with made-up figures; each step keeps two alternatives.
pub fn trace_of(vocab: &[&str], prompt: &[i64], moves: &[Moves<'_>]) -> Trace {
    let tokens = vocab.len() as u32;
    let mut state = prompt.to_vec();
    let mut confidence: Vec<f32> = prompt
        .iter()
        .map(|&given| f32::from(u8::from(given >= 0)))
        .collect();
    let mut steps = Vec::new();
    for (index, step) in moves.iter().enumerate() {
        let (mut committed, mut remasked) = (Vec::new(), Vec::new());
        for &(position, token) in *step {
            state[position] = token;
            match token {
                MASK => {
                    remasked.push(position);
                    confidence[position] = 0.0;
                }
                _ => {
                    committed.push(position);
                    confidence[position] = 0.3 + 0.6 * (position as f32 / prompt.len() as f32);
                }
            }
        }
        committed.sort_unstable();
        remasked.sort_unstable();
        let given = |position: usize| prompt[position] >= 0;
        let top = (0..prompt.len()).map(|position| match given(position) {
            true => vec![(prompt[position] as u32, 1.0)],
            false => {
                let first = (position as u32 + index as u32) % tokens;
                let share = 0.4 + 0.5 * (index as f32 + 1.0) / (moves.len() as f32 + 1.0);
                vec![(first, share), ((first + 1) % tokens, (1.0 - share) / 2.0)]
            }
        });
        steps.push(Step {
            step: index + 1,
            t: 1.0 - (index + 1) as f64 / moves.len() as f64,
            tokens: state.clone(),
            committed,
            remasked,
            confidence: confidence.clone(),
            entropy: (0..prompt.len())
                .map(|position| match given(position) {
                    true => 0.0,
                    false => 0.2 + 0.1 * position as f32,
                })
                .collect(),
            top: Some(top.collect()),
            divergence: None,
        });
    }
    let names = vocab.iter().copied().chain(["[MASK]"]);
    let text = state.iter().map(|&token| match usize::try_from(token) {
        Ok(id) => vocab[id],
        Err(_) => "?",
    });
    Trace {
        footer: Footer {
            text: text.collect(),
            steps: steps.len(),
            model_calls: steps.len(),
            flops: 1e6,
            seconds: 0.1,
        },
        header: Header {
            version: Header::VERSION,
            kind: Objective::Masked,
            length: prompt.len(),
            vocab: Some(names.map(str::to_owned).collect()),
            prompt: prompt.to_vec(),
            parent: None,
            sampler: Settings {
                name: "remdm".to_owned(),
                steps: moves.len(),
                sample: 0,
                choice: Choice::default(),
                parameters: Parameters::default(),
                schedule: Schedule::Linear,
                block_size: None,
                cfg: 0.0,
                cache: Caching::None,
            },
            seed: 1,
        },
        steps,
    }
}

/// Every look in one place: a prompt, tokens that come, go and come otherwise, a line break, blanks.
pub fn story() -> Trace {
    let vocab = ["\n", " ", "a", "c", "e", "n", "o", "t"];
    let prompt = [6, 5, -1, -1, -1, -1, -1, -1];
    trace_of(
        &vocab,
        &prompt,
        &[
            &[(2, 3), (5, 2)],
            &[(3, 4), (5, MASK)],
            &[(4, 1), (2, MASK)],
            &[(5, 7), (6, 4), (2, 2)],
            &[(7, 0)],
        ],
    )
}

/// A square of three that is broken until its last step... and then too.
pub fn square() -> Trace {
    trace_of(
        &["1", "2", "3"],
        &[0, -1, -1, -1, -1, -1, -1, -1, -1],
        &[
            &[(1, 1), (4, 2), (8, 0)],
            &[(2, 2), (3, 1), (5, 2)],
            &[(6, 2), (7, 0)],
        ],
    )
}

#[test]
fn fixtures_keep_the_format() {
    story().check("story").unwrap();
    square().check("square").unwrap();
}

#[test]
fn every_look_is_told_apart() {
    let film = Film::new(story());
    let look = |state, position| film.standing(state, position, false).look;
    assert_eq!(look(0, 0), Look::Prompt);
    assert_eq!(look(0, 2), Look::Mask);
    assert_eq!(film.standing(1, 3, true).look, Look::Draft);
    assert_eq!(look(1, 2), Look::Revealed);
    assert_eq!(look(2, 2), Look::Committed);
    assert_eq!(look(2, 5), Look::Remasked);
    let changed = film.standing(4, 5, false);
    assert_eq!((changed.look, changed.old), (Look::Changed, Some(2)));
    assert_eq!(look(5, 5), Look::Committed);
    let masked = film.standing(2, 5, true);
    assert_eq!((masked.old, masked.token), (Some(2), MASK));
}

#[test]
fn a_state_is_a_line_of_the_trace() {
    let trace = story();
    let film = Film::new(trace.clone());
    assert_eq!(film.tokens(0), trace.header.prompt);
    for step in &trace.steps {
        assert_eq!(film.tokens(step.step), step.tokens);
        for position in 0..film.length() {
            let standing = film.standing(step.step, position, true);
            assert_eq!(standing.token, step.tokens[position]);
            let top = &step.top.as_ref().unwrap()[position];
            assert_eq!(film.top(step.step, position), top.as_slice());
        }
    }
    assert_eq!(film.text(film.last()), trace.footer.text);
    assert_eq!(film.text(0), "on░░░░░░");
}

#[test]
fn shares_are_of_the_scale() {
    let film = Film::new(story());
    let standing = film.standing(2, 2, false);
    assert_eq!(standing.since, Some(1));
    assert_eq!(film.share(Colour::CommitStep, &standing), Some(0.2));
    assert_eq!(film.share(Colour::State, &standing), None);
    let most = film.standing(5, 7, false);
    assert_eq!(film.share(Colour::Entropy, &most), Some(1.0));
    let given = film.standing(2, 0, false);
    assert_eq!(film.share(Colour::Confidence, &given), None);
}

/// What continues [`story`] after state 2 with position 2 set to "e".
fn child() -> Trace {
    let mut child = trace_of(
        &["\n", " ", "a", "c", "e", "n", "o", "t"],
        &[6, 5, 4, -1, -1, -1, -1, -1],
        &[&[(4, 2), (5, 2)], &[(6, 2), (7, 2)]],
    );
    for step in &mut child.steps {
        step.tokens[3] = 4;
        step.confidence[3] = 0.5;
    }
    child.header.parent = Some(Parent {
        trace: "main.jsonl".to_owned(),
        step: 2,
        edits: vec![],
    });
    child
}

fn takes() -> Takes {
    let mut takes = Takes::default();
    takes.replace_all(story(), Source::Live, None);
    let mut edits = Edits::default();
    edits.set(2, 4);
    let index = takes.branch(0, 2, edits.list(), child(), Source::Live);
    assert_eq!(index, Some(1));
    takes
}

#[test]
fn a_branch_keeps_the_steps_before_it() {
    let takes = takes();
    let (parent, branch) = (&takes.list()[0].film, &takes.list()[1].film);
    assert_eq!(branch.last(), 4);
    for state in 0..=2 {
        assert_eq!(branch.tokens(state), parent.tokens(state));
        for position in 0..branch.length() {
            assert_eq!(
                branch.standing(state, position, false),
                parent.standing(state, position, false)
            );
            assert!(!takes.differs(1, state, position));
        }
    }
    let set = branch.standing(3, 2, false);
    assert_eq!((set.look, set.old, set.token), (Look::Changed, Some(3), 4));
    assert!(takes.differs(1, 3, 2) && !takes.differs(1, 3, 0));
    assert_eq!(takes.list()[1].name, "Branch 1 @2");
}

#[test]
fn a_branch_of_a_branch_starts_where_its_state_was_written() {
    let takes = takes();
    let from = |state, edits: &Edits| match takes.template(1, state, edits).unwrap() {
        Template::Branch {
            name, step, edits, ..
        } => (name, step, edits.len()),
        other => panic!("{other:?}"),
    };
    let none = Edits::default();
    assert_eq!(from(4, &none), ("branch-1-at-2.jsonl".to_owned(), 2, 0));
    // The state that both share, as the branch changed it.
    assert_eq!(from(2, &none), ("main.jsonl".to_owned(), 2, 1));
    assert_eq!(from(1, &none), ("main.jsonl".to_owned(), 1, 0));
}

#[test]
fn there_are_eight_tabs_at_most_and_children_go_with_their_parents() {
    let mut takes = takes();
    assert_eq!(takes.copy(1, 3), Some(2));
    assert_eq!(takes.list()[2].film, takes.list()[1].film);
    while takes.has_room() {
        takes.copy(0, 1).unwrap();
    }
    assert_eq!(takes.list().len(), 8);
    assert_eq!(takes.copy(0, 1), None);
    takes.close(1);
    assert_eq!(takes.list().len(), 6);
    assert!(
        takes.list()[1..]
            .iter()
            .all(|take| take.parent == Some((0, 1)))
    );
    takes.close(0);
    assert_eq!(takes.list().len(), 6);
}

#[test]
fn texts_are_aligned_by_what_they_cost() {
    let (quick, slow) = (Film::new(story()), {
        let mut slow = story();
        slow.footer.model_calls = 10;
        slow.footer.seconds = 0.05;
        Film::new(slow)
    });
    let by = |alignment: Alignment| -> Vec<usize> {
        (0..=5)
            .map(|state| alignment.state(&quick, state, &slow))
            .collect()
    };
    assert_eq!(by(Alignment::ModelCalls), [0, 0, 1, 1, 2, 2]);
    assert_eq!(by(Alignment::Seconds), [0, 2, 4, 5, 5, 5]);
    assert_eq!(by(Alignment::Share), [0, 1, 2, 3, 4, 5]);
    assert_eq!(differing(&quick, &slow), 0);
}
