//! The dashboard: title, progress, loss chart, verdict, and what the models wrote last.

use crossover::lab::{Outcome, SampleText};
use crossover::objective::{Bound, Likelihood, Objective};
use crossover_report::history::Curve;
use crossover_report::numbers;
use crossover_report::scale::{self, Range};
use crossover_report::theme::{self, racer};
use crossover_report::verdict;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{Canvas, Context, Line as Stroke, Points};
use ratatui::widgets::{Paragraph, Widget, Wrap};

use super::plain;
use super::state::State;

/// Columns left of the chart, for its ticks.
const TICKS: u16 = 6;
/// Columns right of the chart, for the lines' names, at least: AR's best and its value.
const NAMES: u16 = 18;
/// Rows below which samples are left out.
const SAMPLES_FROM: u16 = 20;

/// The colours, or none where the reader wants none.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    colour: bool,
}

impl Palette {
    /// Colours or none.
    pub const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Colours unless `NO_COLOR` is set.
    pub fn detect() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// Whether there are colours.
    pub const fn is_coloured(self) -> bool {
        self.colour
    }

    fn indexed(self, index: u8) -> Color {
        if self.colour {
            Color::Indexed(index)
        } else {
            Color::Reset
        }
    }

    fn racer(self, objective: Objective) -> Color {
        self.indexed(racer(objective).terminal)
    }

    /// For what stands back.
    pub fn faint(self) -> Color {
        if self.colour {
            Color::DarkGray
        } else {
            Color::Reset
        }
    }
}

/// Draws the dashboard.
pub fn render(state: &State, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let samples = if area.height >= SAMPLES_FROM { 7 } else { 0 };
    let lines = state.lines().count().max(1) as u16;
    let [title, progress, losses, chart, verdict, texts] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(lines),
        Constraint::Min(4),
        Constraint::Length(2),
        Constraint::Length(samples),
    ])
    .areas(area);
    title_line(state).render(title, buffer);
    progress_line(state, palette, progress, buffer);
    Paragraph::new(loss_lines(state, palette)).render(losses, buffer);
    loss_chart(state, palette, chart, buffer);
    Paragraph::new(verdict_text(state))
        .style(Style::new().add_modifier(Modifier::BOLD))
        .wrap(Wrap { trim: true })
        .render(verdict, buffer);
    written(state, palette, texts, buffer);
}

fn title_line(state: &State) -> Line<'static> {
    let Some(started) = state.started() else {
        return Line::from("Crossover");
    };
    let model = &started.config.model;
    let turn = match state.turn() {
        Some(turn) => format!(" · {}", plain::turn(turn)),
        None => String::new(),
    };
    Line::from(vec![
        Span::styled("Crossover", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!(
            "{turn} · {} · {}×{}, {} parameters · {}",
            visible(&started.config.corpus.source.join(", ")),
            model.num_hidden_layers,
            model.hidden_size,
            numbers::count(started.parameters as f64),
            visible(&started.device)
        )),
    ])
}

/// Where the run is, a bar, and how long it still takes.
fn progress_line(state: &State, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let (step, steps) = (state.step(), state.steps());
    let share = if steps > 0 {
        (step as f64 / steps as f64).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let place = format!(
        "step {} of {} · epoch {}",
        numbers::grouped(step),
        numbers::grouped(steps),
        numbers::short(state.epoch()),
    );
    let rest = if state.outcome().is_some() {
        "done".to_owned()
    } else if let Some(doing) = state.doing() {
        visible(doing)
    } else {
        plain::time_left(state)
    };
    let [left, bar, right] = Layout::horizontal([
        Constraint::Length(width(&place)),
        Constraint::Min(8),
        Constraint::Max(width(&rest)),
    ])
    .spacing(2)
    .areas(area);
    Line::from(place).render(left, buffer);
    Line::from(rest).render(right, buffer);
    let full = (f64::from(bar.width) * share).round() as usize;
    let empty = usize::from(bar.width) - full;
    Line::from(vec![
        Span::styled("━".repeat(full), Style::new().add_modifier(Modifier::BOLD)),
        Span::styled("┄".repeat(empty), Style::new().fg(palette.faint())),
    ])
    .render(bar, buffer);
}

fn width(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// A line for each likelihood of each model: where it is, where it was best, and how fast it trains.
fn loss_lines(state: &State, palette: Palette) -> Vec<Line<'static>> {
    let widest = state
        .lines()
        .map(|(objective, _)| racer(objective).name.chars().count());
    let width = widest.max().unwrap_or(0).max(9);
    state
        .lines()
        .map(|(objective, likelihood)| {
            let (look, name) = (theme::line(objective, likelihood), racer(objective).name);
            let curve = state.history().line(objective, likelihood);
            let trained = || curve?.steps.iter().rev().find_map(|step| step.train_nats);
            let bound = curve.and_then(|curve| Some(curve.steps.last()?.bound));
            let mut text = match (bound, likelihood) {
                (Some(Bound::Exact), _) | (None, Likelihood::Autoregressive) => " exact".to_owned(),
                _ => " bound".to_owned(),
            };
            match (
                curve.and_then(|curve| Some((curve.last()?, curve.best()?))),
                trained(),
            ) {
                (Some((last, best)), _) => text.push_str(&format!(
                    "  now {}  best {} at epoch {}",
                    numbers::measured(last.nats, last.se),
                    numbers::loss(best.nats),
                    numbers::short(best.at.epoch)
                )),
                (None, Some(nats)) => {
                    text.push_str(&format!("  training loss {}", numbers::loss(nats)));
                }
                (None, None) => text.push_str("  starting"),
            }
            if let Some((_, speed)) = state.speeds().iter().find(|(of, _)| *of == objective) {
                text.push_str(&format!("  {} tokens/s", numbers::count(*speed)));
            }
            if let Some(load) = state.experts(objective, likelihood) {
                text.push_str(&format!("  {}", plain::experts(load)));
            }
            Line::from(vec![
                Span::styled(
                    format!("{} {name:<width$}", look.mark),
                    Style::new()
                        .fg(palette.racer(objective))
                        .add_modifier(Modifier::BOLD),
                ),
                Span::raw(text),
            ])
        })
        .collect()
}

/// Finds cells as the canvas finds its braille dots, two across and four down in a cell, so that marks, ticks and
/// names stand on their lines.
struct Place {
    canvas: Rect,
    steps: f64,
    range: Range,
}

impl Place {
    fn column(&self, step: f64) -> u16 {
        let dots = f64::from(2 * self.canvas.width) - 1.0;
        self.canvas.x + (step / self.steps * dots).round() as u16 / 2
    }

    /// Rows down from the canvas's top, which may be outside of it.
    fn down(&self, nats: f64) -> f64 {
        let dots = f64::from(4 * self.canvas.height) - 1.0;
        (((1.0 - self.range.share(nats)) * dots).round() / 4.0).floor()
    }

    fn row(&self, nats: f64) -> Option<u16> {
        let inside = self.range.low <= nats && nats <= self.range.high;
        inside.then(|| self.canvas.y + self.down(nats) as u16)
    }
}

/// The loss chart: ticks on the left, names on the right, epochs below.
fn loss_chart(state: &State, palette: Palette, area: Rect, buffer: &mut Buffer) {
    let [plot, below] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let longest = state
        .lines()
        .map(|(objective, likelihood)| width(theme::line(objective, likelihood).short));
    // A mark before the name, a value behind it.
    let room = longest.max().unwrap_or(0).saturating_add(9).max(NAMES);
    let [ticks, canvas, names] = Layout::horizontal([
        Constraint::Length(TICKS),
        Constraint::Min(10),
        Constraint::Length(room),
    ])
    .areas(plot);
    let history = state.history();
    let floor = state.started().and_then(|started| started.floor_nats);
    let range = scale::losses(history, floor);
    let steps = state.steps().max(1) as f64;
    let best = history
        .race()
        .and_then(|(ar, _)| ar.best())
        .map(|best| (best.at.step as f64, best.nats));

    Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([0.0, steps])
        .y_bounds([range.low, range.high])
        .paint(|context| {
            for curve in history.curves() {
                trained(context, curve, canvas.width, palette);
            }
            context.layer();
            if let Some(floor) = floor {
                dotted(context, 0.0, steps, floor, canvas.width, palette.faint());
            }
            if let Some((from, nats)) = best {
                let colour = palette.racer(Objective::Autoregressive);
                dotted(context, from, steps, nats, canvas.width, colour);
            }
            for curve in history.curves() {
                context.layer();
                validated(context, curve, range, palette.racer(curve.objective));
            }
        })
        .render(canvas, buffer);
    if canvas.is_empty() {
        return;
    }

    let place = Place {
        canvas,
        steps,
        range,
    };
    // Marks go on top of all lines: they tell the models apart where colours don't.
    for curve in history.curves() {
        let look = curve.look();
        let style = Style::new().fg(palette.racer(curve.objective));
        for evaluation in curve.evaluations() {
            let column = place.column(evaluation.at.step as f64);
            if let Some(row) = place
                .row(evaluation.nats)
                .filter(|_| column < canvas.right())
            {
                buffer.set_string(column, row, look.mark.to_string(), style);
            }
        }
    }
    let marks = scale::ticks(range, usize::from(plot.height / 2));
    let decimals = scale::decimals(&marks);
    for mark in &marks {
        if let Some(row) = place.row(*mark) {
            buffer.set_string(ticks.x, row, format!("{mark:>5.decimals$}"), Style::new());
        }
    }
    for (down, text, colour) in end_names(state, palette, &place, floor) {
        buffer.set_stringn(
            names.x + 1,
            names.y + down as u16,
            text,
            usize::from(room - 1),
            Style::new().fg(colour),
        );
    }
    let last = state.epoch().max(f64::MIN_POSITIVE) / (state.step().max(1) as f64) * steps;
    let right = format!("epoch {}", numbers::short(last));
    let indent = usize::from(canvas.width).saturating_sub(1);
    let axis = if history.curves().is_empty() {
        String::new()
    } else {
        format!(
            "{:>width$}0{right:>indent$}",
            "",
            width = usize::from(TICKS)
        )
    };
    Line::from(axis)
        .style(Style::new().fg(palette.faint()))
        .render(below, buffer);
}

/// Names of the lines with their rows, pushed apart.
fn end_names(
    state: &State,
    palette: Palette,
    place: &Place,
    floor: Option<f64>,
) -> Vec<(f64, String, Color)> {
    let mut names = Vec::new();
    for curve in state.history().curves() {
        let Some(last) = curve.last() else { continue };
        let look = curve.look();
        let cut = if last.nats > place.range.high {
            "↑"
        } else {
            ""
        };
        let value = numbers::loss(last.nats);
        names.push((
            last.nats,
            format!("{} {} {value}{cut}", look.mark, look.short),
            palette.racer(curve.objective),
        ));
    }
    if let Some(best) = state.history().race().and_then(|(ar, _)| ar.best()) {
        names.push((
            best.nats,
            format!("┈ AR's best {}", numbers::loss(best.nats)),
            palette.racer(Objective::Autoregressive),
        ));
    }
    if let Some(floor) = floor {
        names.push((
            floor,
            format!("┈ floor {}", numbers::loss(floor)),
            palette.faint(),
        ));
    }
    // By loss, not by row: names that share a row keep the order of their lines.
    names.sort_by(|left, right| right.0.total_cmp(&left.0));
    let rows: Vec<f64> = names.iter().map(|name| place.down(name.0)).collect();
    let lowest = f64::from(place.canvas.height - 1);
    for (name, row) in names.iter_mut().zip(scale::apart(&rows, 1.0, 0.0, lowest)) {
        name.0 = row.max(0.0);
    }
    names
}

fn trained(context: &mut Context<'_>, curve: &Curve, width: u16, palette: Palette) {
    let points: Vec<(f64, f64)> = curve
        .steps
        .iter()
        .filter_map(|step| Some((step.step as f64, step.train_nats?)))
        .collect();
    // As many points as dots across; more would only fill the chart with noise.
    context.draw(&Points {
        coords: &scale::thinned(&points, usize::from(width)),
        color: palette.faint(),
    });
}

fn validated(context: &mut Context<'_>, curve: &Curve, range: Range, color: Color) {
    let points: Vec<(f64, f64)> = curve
        .evaluations()
        .map(|evaluation| (evaluation.at.step as f64, evaluation.nats))
        .collect();
    for pair in points.windows(2) {
        // ratatui drops a line with an end outside of the chart: shorten it to what is inside.
        if let Some([(x1, y1), (x2, y2)]) = inside(pair[0], pair[1], range) {
            context.draw(&Stroke {
                x1,
                y1,
                x2,
                y2,
                color,
            });
        }
    }
}

/// The part of a line between the range's ends.
fn inside(from: (f64, f64), to: (f64, f64), range: Range) -> Option<[(f64, f64); 2]> {
    let (low, high) = (from.1.min(to.1), from.1.max(to.1));
    if high < range.low || low > range.high {
        return None;
    }
    let at = |point: (f64, f64)| {
        let y = point.1.clamp(range.low, range.high);
        if y == point.1 {
            point
        } else {
            (from.0 + (to.0 - from.0) * (y - from.1) / (to.1 - from.1), y)
        }
    };
    Some([at(from), at(to)])
}

/// A level line from a step on: a dot in each cell, so that it looks like none of the curves.
fn dotted(context: &mut Context<'_>, from: f64, steps: f64, nats: f64, width: u16, color: Color) {
    let last = f64::from(2 * width) - 1.0;
    let coords: Vec<(f64, f64)> = (0..width)
        .map(|cell| (f64::from(2 * cell) / last * steps, nats))
        .filter(|(step, _)| *step >= from)
        .collect();
    context.draw(&Points {
        coords: &coords,
        color,
    });
}

/// What the race has shown, as far as it is known.
fn verdict_text(state: &State) -> String {
    match state.outcome() {
        Some(Outcome::Race(result)) => return verdict::headline(result),
        Some(Outcome::Train(result)) => {
            return format!(
                "Done: {} nats/token on the test part ({}).",
                numbers::measured(result.nats, Some(result.se)),
                theme::kind(result.bound)
            );
        }
        None => {}
    }
    let history = state.history();
    if let Some(standing) = verdict::standing(history) {
        let curve = match verdict::curve_so_far(history) {
            Some(epoch) => format!(
                " At equal tokens: below AR since epoch {}.",
                numbers::short(epoch)
            ),
            None => String::new(),
        };
        return standing.sentence() + &curve;
    }
    match history.curves().iter().find_map(Curve::best) {
        Some(best) => format!(
            "Best so far: {} nats/token at epoch {}.",
            numbers::measured(best.nats, best.se),
            numbers::short(best.at.epoch)
        ),
        None => match state
            .started()
            .and_then(|started| started.config.evaluate.every)
        {
            Some(every) => format!(
                "The first evaluation comes after step {}.",
                numbers::grouped(every)
            ),
            None => "No evaluation yet.".to_owned(),
        },
    }
}

/// The newest text of each model, side by side.
fn written(state: &State, palette: Palette, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let objectives = state.objectives();
    let columns = Layout::horizontal(vec![Constraint::Fill(1); objectives.len()])
        .spacing(2)
        .split(area);
    let side = state.started().and_then(|started| started.grid_side);
    for (objective, area) in objectives.iter().zip(columns.iter()) {
        if let Some(sample) = state.sample(*objective) {
            one(sample, side, palette, *area, buffer);
        }
    }
}

fn one(
    sample: &SampleText,
    side: Option<usize>,
    palette: Palette,
    area: Rect,
    buffer: &mut Buffer,
) {
    let look = racer(sample.objective);
    let mut head = vec![
        Span::styled(
            format!("{} {}", look.mark, look.name),
            Style::new()
                .fg(palette.racer(sample.objective))
                .add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!(", step {}", numbers::grouped(sample.step))),
    ];
    match sample.valid {
        Some(true) => head.push(Span::styled(
            "  ✓ valid",
            Style::new().fg(palette.indexed(theme::TERMINAL_OK)),
        )),
        Some(false) => head.push(Span::styled(
            "  ✗ invalid",
            Style::new().fg(palette.indexed(theme::TERMINAL_ERROR)),
        )),
        None => {}
    }
    let mut lines = vec![Line::from(head)];
    match side.and_then(|side| crossover_report::grid_rows(&sample.text, side)) {
        Some(rows) => lines.extend(rows.iter().map(|row| {
            let cells: Vec<String> = row.iter().map(char::to_string).collect();
            Line::from(format!("  {}", visible(&cells.join(" "))))
        })),
        None => lines.push(Line::from(visible(&sample.text))),
    }
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .render(area, buffer);
}

/// Text without line breaks and without what a terminal would obey.
fn visible(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' => '⏎',
            control if control.is_control() => '·',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::Turn;
    use crossover::lab::Event;
    use crossover::train::RunConfig;
    use crossover_report::fixtures::dual_race;

    use super::super::state::tests::{started, started_with, watched};
    use super::*;

    fn screen(state: &State, columns: u16, rows: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory");
        let palette = Palette::new(false);
        terminal
            .draw(|frame| render(state, palette, frame.area(), frame.buffer_mut()))
            .expect("memory");
        terminal.backend().to_string()
    }

    #[test]
    fn the_dashboard_tells_everything_at_80_columns() {
        let screen = screen(&watched(), 80, 23);
        for expected in [
            "Crossover · grids:latin-5 · 4×96, 452k parameters · cpu (no GPU found)",
            "step 75 of 100 · epoch 3  ━━━",
            "┄  10 s left",
            "● AR        exact  now 0.800 ± 0.010  best 0.600 at epoch 2  50k tokens/s",
            "● AR 0.800",
            "■ Diffusion 0.742",
            "┈ AR's best 0.600",
            "┈ floor 0.480",
            "epoch 4",
            "Not yet: diffusion is 0.142 above AR's best so far.",
            "At equal tokens: below AR",
            "● AR, step 75  ✓ valid",
            "■ Diffusion, step 75  ✗ invalid",
            "  1 2  ",
            "  2 1  ",
        ] {
            assert!(screen.contains(expected), "no `{expected}` in\n{screen}");
        }
        assert!(
            !screen.contains('\x1b'),
            "a sample reached the terminal's ear"
        );
    }

    #[test]
    fn a_dual_model_has_a_line_for_each_of_its_losses() {
        let mut config = RunConfig {
            objectives: vec![Objective::Autoregressive, Objective::Dual],
            ..RunConfig::default()
        };
        config.train.steps = Some(100);
        let mut state = State::default();
        state.apply(&started_with(config, 0), 0.0);
        let history = dual_race();
        for metrics in history.curves().iter().flat_map(|curve| &curve.steps) {
            state.apply(&Event::Metrics(metrics.clone()), 30.0);
        }
        assert_eq!(state.step(), 75);
        let screen = screen(&state, 80, 23);
        for expected in [
            "● AR        exact  now 0.800",
            "◆ Dual      exact  now 0.550",
            "▼ Dual      bound  now 0.900",
            "◆ Dual as AR 0.550",
            "▼ Dual bound 0.900",
            "Not yet: the dual model is 0.300 above AR's best so far.",
        ] {
            assert!(screen.contains(expected), "no `{expected}` in\n{screen}");
        }
    }

    #[test]
    fn one_of_several_seeds_says_which() {
        let mut state = State::new(Some(Turn {
            seed: 7,
            number: 2,
            of: 3,
        }));
        state.apply(&started(0), 0.0);
        let screen = screen(&state, 80, 23);
        assert!(
            screen.contains("Crossover · seed 7 (2 of 3) · grids:latin-5"),
            "{screen}"
        );
    }

    #[test]
    fn every_size_and_every_moment_can_be_drawn() {
        let mut beginning = State::default();
        screen(&beginning, 80, 23);
        beginning.apply(&started(0), 0.0);
        assert!(screen(&beginning, 80, 23).contains("No evaluation yet."));
        for (columns, rows) in [(50, 12), (80, 19), (200, 24), (20, 6)] {
            screen(&watched(), columns, rows);
        }
    }

    #[test]
    fn a_line_is_cut_where_it_leaves_the_chart() {
        let range = Range {
            low: 0.0,
            high: 1.0,
        };
        assert_eq!(
            inside((0.0, 3.0), (4.0, 0.5), range),
            Some([(3.2, 1.0), (4.0, 0.5)])
        );
        assert_eq!(inside((0.0, 3.0), (1.0, 2.0), range), None);
    }
}
