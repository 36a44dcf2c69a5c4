//! A sweep's file: TOML that says which settings are tried, resolved into runs. Nothing here runs anything.
//!
//! Settings lie over one another: the preset, `[base]`, the scale's `base`, a point's own, an axis' value. A scale with a
//! preset of its own begins there instead.

use std::ops::Range;
use std::path::Path;

use crossover::error::{Error, Result, nearest};
use crossover::train::{RunConfig, nearest_key};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use crate::presets;

/// The scale that a file describes outside `[scales]`.
pub const USUAL_SCALE: &str = "cpu";
/// Seeds of each point where the file and the command line say nothing.
const USUAL_SEEDS: u64 = 1;
/// Points of one sweep: its report draws each.
const MOST_POINTS: usize = 1_000;

/// What a file asks for, at one scale.
#[derive(Debug)]
pub struct Sweep {
    /// The first line of the comment at the top.
    pub about: String,
    /// Keys that several points differ in, as the file orders them.
    pub axes: Vec<String>,
    /// How many seeds each point has.
    pub seeds: u64,
    /// Every combination.
    pub points: Vec<Point>,
}

/// One combination of settings.
#[derive(Debug)]
pub struct Point {
    /// Its name: each axis' value, and before them that of its `[[point]]`.
    pub name: String,
    /// Of its `[[point]]`.
    pub label: Option<String>,
    /// The value on each axis that it lies on.
    pub settings: Vec<(String, Value)>,
    /// The run without its seed.
    pub config: RunConfig,
}

/// One key of the file with its value and where it stands.
#[derive(Debug, Clone)]
struct Setting {
    key: String,
    value: Value,
    line: usize,
}

/// Reads a file's text with its place for messages.
struct Source<'a> {
    name: String,
    text: &'a str,
}

/// Reads what `text` asks for at a scale; `corpus` replaces the source everywhere.
///
/// # Errors
/// When the file is no sweep, names a key that there is not or a value that it can't have (with file and line), has no such
/// scale, or makes no point or two of the same name.
pub fn read(path: &Path, text: &str, scale: &str, corpus: Option<&[String]>) -> Result<Sweep> {
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    source.read(scale, corpus)
}

impl Source<'_> {
    fn read(&self, scale: &str, corpus: Option<&[String]>) -> Result<Sweep> {
        let document = DeTable::parse(self.text).map_err(|error| {
            Error::input(format!(
                "`{}` is no TOML\n{}",
                self.name,
                error.to_string().trim_end()
            ))
        })?;
        let table = document.get_ref();
        self.only(table, &["seeds", "base", "axes", "point", "scales"])?;
        let scaled = self.scale(table, scale)?;
        let mut seeds = self.seeds(table)?;
        let (mut preset, mut base) = self.base(table)?;
        let mut axes = self.axes(table)?;
        if let Some(scaled) = scaled {
            self.only(scaled, &["seeds", "base", "axes", "point"])?;
            seeds = self.seeds(scaled)?.or(seeds);
            let (over, more) = self.base(scaled)?;
            if over.is_some() {
                // It begins somewhere else altogether.
                preset = over;
                base.clear();
            }
            base.extend(more);
            for axis in self.axes(scaled)? {
                match axes.iter_mut().find(|known| known.key == axis.key) {
                    Some(known) => *known = axis,
                    None => axes.push(axis),
                }
            }
        }
        let under = self.under(preset, &base, corpus)?;
        let mut sweep = Sweep {
            about: about(self.text),
            axes: Vec::new(),
            seeds: seeds.unwrap_or(USUAL_SEEDS),
            points: Vec::new(),
        };
        let points = scaled.filter(|scaled| scaled.contains_key("point"));
        for named in self.named(points.unwrap_or(table))? {
            let own = [&named.axes[..], &axes].concat();
            for axis in &own {
                if !sweep.axes.contains(&axis.key) {
                    sweep.axes.push(axis.key.clone());
                }
            }
            let combined = own.iter().fold(1_usize, |count, axis| {
                count.saturating_mul(axis.values.len())
            });
            if combined.saturating_add(sweep.points.len()) > MOST_POINTS {
                return Err(Error::input(format!(
                    "`{}` makes more than {MOST_POINTS} points",
                    self.name
                ))
                .with_hint("leave out some values"));
            }
            for index in 0..combined {
                sweep.points.push(self.point(&under, &named, &own, index)?);
            }
        }
        self.are_different(&sweep)?;
        Ok(sweep)
    }

    /// One point of a grid: its index counts through the last axis first.
    fn point(&self, under: &Table, named: &Named, axes: &[Axis], index: usize) -> Result<Point> {
        let mut rest = index;
        let mut chosen: Vec<&Setting> = Vec::new();
        for axis in axes.iter().rev() {
            chosen.insert(0, &axis.values[rest % axis.values.len()]);
            rest /= axis.values.len();
        }
        let mut table = under.clone();
        for setting in named.settings.iter().chain(chosen.iter().copied()) {
            set(&mut table, &setting.key, setting.value.clone());
        }
        let settings: Vec<(String, Value)> = chosen
            .iter()
            .map(|setting| (setting.key.clone(), setting.value.clone()))
            .collect();
        let values = settings
            .iter()
            .map(|(key, value)| format!("{}={}", short(key), label(value)));
        let parts: Vec<String> = named.name.iter().cloned().chain(values).collect();
        let name = match parts.is_empty() {
            true => "base".to_owned(),
            false => parts.join(","),
        };
        let config = RunConfig::from_table(table)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|error| error.about(&format!("`{}`, point `{name}`", self.name)))?;
        Ok(Point {
            name,
            label: named.name.clone(),
            settings,
            config,
        })
    }

    /// The table that all points begin with.
    fn under(
        &self,
        preset: Option<Setting>,
        base: &[Setting],
        corpus: Option<&[String]>,
    ) -> Result<Table> {
        let mut table = match &preset {
            None => Table::new(),
            Some(setting) => {
                let Value::String(name) = &setting.value else {
                    return Err(self.refused(setting.line, "`preset` is a name"));
                };
                presets::find_any(name)
                    .map_err(|error| error.about(&self.at(setting.line)))?
                    .table()?
            }
        };
        for setting in base {
            set(&mut table, &setting.key, setting.value.clone());
        }
        if let Some(corpus) = corpus {
            set(&mut table, "corpus.source", Value::from(corpus.to_vec()));
        }
        if preset.is_some() && !presets::names_text(&table) {
            return Err(
                Error::input(format!("`{}` has no text of its own", self.name))
                    .with_hint("name one of yours: `--corpus PATH`"),
            );
        }
        Ok(table)
    }

    /// Refuses keys of a table that mean nothing here.
    fn only(&self, table: &DeTable<'_>, known: &[&str]) -> Result<()> {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let error =
                    self.refused(self.line(key.span()), &format!("there is no `{name}` here"));
                return Err(match nearest(name, known.iter().copied()) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint(format!("one of {}", known.join(", "))),
                });
            }
        }
        Ok(())
    }

    fn scale<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        scale: &str,
    ) -> Result<Option<&'t DeTable<'i>>> {
        let scales = self.inner(table, "scales")?;
        let found = scales.and_then(|scales| scales.get(scale));
        if let Some(found) = found {
            return self.table(found, "a scale").map(Some);
        }
        if scale == USUAL_SCALE {
            return Ok(None);
        }
        let mut known = vec![USUAL_SCALE];
        known.extend(
            scales
                .into_iter()
                .flat_map(|scales| scales.keys())
                .map(|key| &**key.get_ref())
                .filter(|name| *name != USUAL_SCALE),
        );
        Err(
            Error::input(format!("`{}` has no scale `{scale}`", self.name))
                .with_hint(format!("one of {}", known.join(", "))),
        )
    }

    fn seeds(&self, table: &DeTable<'_>) -> Result<Option<u64>> {
        let Some(value) = table.get("seeds") else {
            return Ok(None);
        };
        let count = match plain(value.get_ref()) {
            Some(Value::Integer(count)) => u64::try_from(count).ok().filter(|count| *count > 0),
            _ => None,
        };
        count
            .map(Some)
            .ok_or_else(|| self.refused(self.line(value.span()), "`seeds` is a number from 1 on"))
    }

    /// `[base]`: its preset, and its settings.
    fn base(&self, table: &DeTable<'_>) -> Result<(Option<Setting>, Vec<Setting>)> {
        let Some(base) = self.inner(table, "base")? else {
            return Ok((None, Vec::new()));
        };
        let (presets, settings): (Vec<Setting>, Vec<Setting>) = self
            .settings(base)?
            .into_iter()
            .partition(|setting| setting.key == "preset");
        settings
            .iter()
            .try_for_each(|setting| self.check(setting))?;
        Ok((presets.into_iter().next(), settings))
    }

    fn axes(&self, table: &DeTable<'_>) -> Result<Vec<Axis>> {
        let Some(axes) = self.inner(table, "axes")? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for setting in self.settings(axes)? {
            let Value::Array(values) = setting.value else {
                return Err(self
                    .refused(setting.line, &format!("`{}` is no list", setting.key))
                    .with_hint(format!(
                        "an axis has several values: `\"{}\" = [A, B]`",
                        setting.key
                    )));
            };
            if values.is_empty() {
                return Err(self.refused(
                    setting.line,
                    &format!("`{}` has no value to try", setting.key),
                ));
            }
            let each = |value| Setting {
                value,
                ..setting_at(&setting.key, setting.line)
            };
            let values: Vec<Setting> = values.into_iter().map(each).collect();
            values.iter().try_for_each(|setting| self.check(setting))?;
            found.push(Axis {
                key: setting.key,
                values,
            });
        }
        Ok(found)
    }

    /// Every `[[point]]`; without any, the base alone.
    fn named(&self, table: &DeTable<'_>) -> Result<Vec<Named>> {
        let Some(value) = table.get("point") else {
            return Ok(vec![Named::default()]);
        };
        let DeValue::Array(points) = value.get_ref() else {
            return Err(self
                .refused(self.line(value.span()), "`point` is no list")
                .with_hint("write `[[point]]` above each"));
        };
        points
            .iter()
            .map(|point| {
                let line = self.line(point.span());
                let mut inside = self.table(point, "a point")?.clone();
                let axes = self.axes(&inside)?;
                inside.remove("axes");
                let name = match inside.remove("name").map(|name| plain(name.get_ref())) {
                    Some(Some(Value::String(name))) if !slug(&name).is_empty() => slug(&name),
                    _ => {
                        return Err(self
                            .refused(line, "a point needs a name")
                            .with_hint("`name = \"plain\"`"));
                    }
                };
                let settings = self.settings(&inside)?;
                settings
                    .iter()
                    .try_for_each(|setting| self.check(setting))?;
                Ok(Named {
                    name: Some(name),
                    settings,
                    axes,
                })
            })
            .collect()
    }

    /// Every key below a table that has a value of its own, in the order of the file.
    fn settings(&self, table: &DeTable<'_>) -> Result<Vec<Setting>> {
        let mut found: Vec<(Range<usize>, Setting)> = Vec::new();
        self.collect(table, "", &mut found)?;
        found.sort_by_key(|(span, _)| span.start);
        Ok(found.into_iter().map(|(_, setting)| setting).collect())
    }

    fn collect(
        &self,
        table: &DeTable<'_>,
        above: &str,
        found: &mut Vec<(Range<usize>, Setting)>,
    ) -> Result<()> {
        for (key, value) in table {
            let name = match above {
                "" => key.get_ref().to_string(),
                _ => format!("{above}.{}", key.get_ref()),
            };
            if let DeValue::Table(inside) = value.get_ref() {
                self.collect(inside, &name, found)?;
                continue;
            }
            let line = self.line(key.span());
            let value = plain(value.get_ref()).ok_or_else(|| {
                self.refused(line, &format!("`{name}` has a value of no use here"))
            })?;
            let setting = Setting {
                key: name,
                value,
                line,
            };
            found.push((key.span(), setting));
        }
        Ok(())
    }

    /// Refuses a key that no configuration has, or a value that it can't have.
    fn check(&self, setting: &Setting) -> Result<()> {
        let Setting { key, value, line } = setting;
        if !RunConfig::keys().contains(key) {
            let error = self.refused(*line, &format!("there is no setting `{key}`"));
            return Err(match nearest_key(key) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("see `docs/formats.md` for every key"),
            });
        }
        if key == "seed" {
            return Err(self
                .refused(*line, "seeds are counted, not named")
                .with_hint("`seeds = 3` at the top of the file, or `--seeds 3`"));
        }
        let mut table = Table::new();
        set(&mut table, key, value.clone());
        RunConfig::from_table(table).map(|_| ()).map_err(|error| {
            self.refused(*line, &format!("`{key}` can't be {value}: {error}"))
                .with_hint("see `docs/formats.md` for what it may be")
        })
    }

    fn are_different(&self, sweep: &Sweep) -> Result<()> {
        for (index, point) in sweep.points.iter().enumerate() {
            if sweep.points[..index]
                .iter()
                .any(|earlier| earlier.name == point.name)
            {
                return Err(Error::input(format!(
                    "`{}` makes two points called `{}`",
                    self.name, point.name
                ))
                .with_hint("each point needs a name or values of its own"));
            }
        }
        Ok(())
    }

    fn inner<'t, 'i>(&self, table: &'t DeTable<'i>, name: &str) -> Result<Option<&'t DeTable<'i>>> {
        let found = table.get(name);
        found
            .map(|value| self.table(value, &format!("`{name}`")))
            .transpose()
    }

    fn table<'t, 'i>(
        &self,
        value: &'t Spanned<DeValue<'i>>,
        what: &str,
    ) -> Result<&'t DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.refused(self.line(value.span()), &format!("{what} is a table"))),
        }
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        1 + before.matches('\n').count()
    }

    fn at(&self, line: usize) -> String {
        format!("`{}`, line {line}", self.name)
    }

    fn refused(&self, line: usize, what: &str) -> Error {
        Error::input(format!("{}: {what}", self.at(line)))
    }
}

/// A key and the values that are tried.
#[derive(Debug, Clone)]
struct Axis {
    key: String,
    values: Vec<Setting>,
}

/// A `[[point]]`.
#[derive(Debug, Default)]
struct Named {
    name: Option<String>,
    settings: Vec<Setting>,
    axes: Vec<Axis>,
}

fn setting_at(key: &str, line: usize) -> Setting {
    Setting {
        key: key.to_owned(),
        value: Value::Boolean(false),
        line,
    }
}

/// A value without its place in the file; none of dates, which no setting is.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Array(values) => Value::Array(
            values
                .iter()
                .map(|value| plain(value.get_ref()))
                .collect::<Option<_>>()?,
        ),
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// Sets the value of a dotted key.
fn set(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inside = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inside) = inside {
                set(inside, rest, value);
            }
        }
    }
}

/// The first line of the comment at the top of the file.
fn about(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix('#') {
        Some(comment) => comment.trim().to_owned(),
        None => String::new(),
    }
}

/// A key's last word, as names have it.
pub fn short(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A value as names have it: what any file system takes.
pub fn label(value: &Value) -> String {
    match value {
        Value::String(text) => slug(text),
        Value::Array(values) => values.iter().map(label).collect::<Vec<_>>().join("+"),
        // In the range where its digits are few.
        Value::Float(number) if *number == 0.0 || (1e-3..1e6).contains(&number.abs()) => {
            number.to_string()
        }
        Value::Float(number) => format!("{number:e}"),
        other => other.to_string(),
    }
}

fn slug(text: &str) -> String {
    let words: Vec<String> = text
        .split(|letter: char| !(letter.is_alphanumeric() || "._".contains(letter)))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sweep> {
        super::read(Path::new("s.toml"), text, USUAL_SCALE, None)
    }

    fn names(sweep: &Sweep) -> Vec<&str> {
        sweep
            .points
            .iter()
            .map(|point| point.name.as_str())
            .collect()
    }

    const FILE: &str = "# What is asked\n\nseeds = 2\n\n[base]\npreset = \"tales\"\ntrain.epochs = 3.0\n\n\
        [axes]\n\"corpus.unique\" = [500, 1000]\n\"model.dropout\" = [0.0, 0.1]\n\n\
        [scales.gpu]\nseeds = 5\n[scales.gpu.base.train]\nepochs = 9.0\n[scales.gpu.axes]\n\"corpus.unique\" = [7000]\n";

    #[test]
    fn axes_make_a_grid_over_the_base() {
        let sweep = read(FILE).expect("a sweep");
        assert_eq!(sweep.about, "What is asked");
        assert_eq!(sweep.axes, ["corpus.unique", "model.dropout"]);
        assert_eq!(
            names(&sweep),
            [
                "unique=500,dropout=0",
                "unique=500,dropout=0.1",
                "unique=1000,dropout=0",
                "unique=1000,dropout=0.1"
            ]
        );
        let last = &sweep.points[3].config;
        assert_eq!(last.corpus.unique, Some(1000));
        assert_eq!((last.model.dropout, last.train.epochs), (0.1, 3.0));
        // From the preset.
        assert_eq!(last.corpus.source, ["tales"]);
        assert_eq!((last.train.batch, sweep.seeds), (16, 2));
    }

    #[test]
    fn a_scale_lies_over_the_file_and_replaces_values() {
        let sweep = super::read(Path::new("s.toml"), FILE, "gpu", None).expect("a sweep");
        assert_eq!(
            names(&sweep),
            ["unique=7000,dropout=0", "unique=7000,dropout=0.1"]
        );
        assert_eq!((sweep.points[0].config.train.epochs, sweep.seeds), (9.0, 5));
        let error = super::read(Path::new("s.toml"), FILE, "papre", None).expect_err("no scale");
        assert_eq!(error.hint(), Some("one of cpu, gpu"));
    }

    #[test]
    fn points_have_settings_and_axes_of_their_own() {
        let sweep = read(
            "[[point]]\nname = \"plain\"\n\n[[point]]\nname = \"AR alone\"\nobjectives = [\"ar\"]\n[point.axes]\n\
             \"train.weight_decay\" = [0.1, 3.0]\n",
        )
        .expect("a sweep");
        assert_eq!(
            names(&sweep),
            [
                "plain",
                "AR-alone,weight_decay=0.1",
                "AR-alone,weight_decay=3"
            ]
        );
        assert_eq!(sweep.points[0].config, RunConfig::default());
        assert_eq!(sweep.points[2].config.train.weight_decay, 3.0);
        assert_eq!(sweep.points[2].config.objectives.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said, hint) in [
            (
                "[axes]\n\"corpus.uniqe\" = [1]",
                "line 2: there is no setting `corpus.uniqe`",
                "`corpus.unique`",
            ),
            (
                "\n[axes]\ndropout = [1]",
                "line 3: there is no setting `dropout`",
                "`model.dropout`",
            ),
            (
                "[axes]\n\"model.dropout\" = 0.1",
                "line 2: `model.dropout` is no list",
                "several values",
            ),
            (
                "[axes]\n\"model.dropout\" = []",
                "line 2: `model.dropout` has no value",
                "",
            ),
            (
                "[axes]\n\"model.dropout\" = [\"x\"]",
                "line 2: `model.dropout` can't be \"x\"",
                "docs/formats.md",
            ),
            (
                "[base.train]\n\nbatch = -1",
                "line 3: `train.batch` can't be -1",
                "",
            ),
            (
                "[base]\npreset = \"tale\"",
                "line 2: there is no preset `tale`",
                "`tales`",
            ),
            (
                "[base]\npreset = \"code\"",
                "no text of its own",
                "--corpus",
            ),
            ("[axis]\n", "line 1: there is no `axis` here", "`axes`"),
            ("seeds = 0", "line 1: `seeds` is a number", ""),
            (
                "[axes]\nseed = [1, 2]",
                "line 2: seeds are counted",
                "--seeds",
            ),
            (
                "[[point]]\nobjectives = [\"ar\"]",
                "line 1: a point needs a name",
                "",
            ),
            (
                "[axes]\n\"model.dropout\" = [0.1, 0.1]",
                "two points called `dropout=0.1`",
                "",
            ),
            (
                "[axes]\n\"model.dropout\" = [3.0]\n\"train.epochs\" = [-1.0]",
                "point `dropout=3,epochs=-1`",
                "above 0",
            ),
            ("[axes\n", "is no TOML", ""),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.to_string().contains(said), "{said}: {error}");
            assert!(error.to_string().contains("`s.toml`"), "{error}");
            let given = error.hint().unwrap_or_default();
            assert!(given.contains(hint), "{hint}: {given}");
        }
    }

    #[test]
    fn values_are_short_in_names() {
        let shown = [0.0, 0.001, 3e-4, 1e39, 480.0].map(|number| label(&Value::from(number)));
        assert_eq!(shown, ["0", "0.001", "3e-4", "1e39", "480"]);
        let sources = Value::from(vec!["grids:latin-5", "a/b.txt"]);
        assert_eq!(label(&sources), "grids-latin-5+a-b.txt");
    }

    #[test]
    fn a_text_of_the_reader_s_takes_the_place_of_the_file_s() {
        let corpus = ["book.txt".to_owned()];
        let text = "[base]\npreset = \"code\"";
        let sweep = super::read(Path::new("s.toml"), text, USUAL_SCALE, Some(&corpus));
        let sweep = sweep.expect("has a text now");
        assert_eq!(names(&sweep), ["base"]);
        assert_eq!(sweep.points[0].config.corpus.source, corpus);
    }
}
