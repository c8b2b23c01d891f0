//! The perturbation as a whole: parsed, checked, written, and composed into an episode.

use crate::{
    ActionFilter, BackgroundChange, CameraChange, EpisodeKey, ImageFilter, ImageNoise,
    InstructionChange, LayoutChange, LightChange, PerturbationError, PhysicsChange, PostureChange,
    SensorFault, background, camera, layout, light, noise, robot,
};
use bitvla_sim::SceneDesc;
use bitvla_tasks::{Assets, InitState, SETTLE_ACTION, Suite, Task};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Names of the axes in the order in which they are composed.
pub const AXES: [&str; 9] = [
    "language",
    "layout",
    "robot",
    "physics",
    "background",
    "light",
    "camera",
    "noise",
    "sensors",
];
/// Number of levels of an axis with levels.
pub const LEVELS: u8 = 5;
/// Levels of noise in a level of its axis: noise has the ten of LIBERO-plus.
const NOISE_LEVELS: u8 = 2;
/// Axes with levels.
pub const LEVELLED: [&str; 7] = [
    "language",
    "layout",
    "robot",
    "background",
    "light",
    "camera",
    "noise",
];

/// What is changed in every episode. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perturbation {
    /// Words of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<InstructionChange>,
    /// Places of objects, extra objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<LayoutChange>,
    /// Posture of the arm at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robot: Option<PostureChange>,
    /// Bodies and commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physics: Option<PhysicsChange>,
    /// Colours of the surroundings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<BackgroundChange>,
    /// Lights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<LightChange>,
    /// Place of the camera that looks at the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraChange>,
    /// Image noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<ImageNoise>,
    /// Sensors that fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensors: Option<SensorFault>,
}

impl Perturbation {
    /// Parses words of the form `AXIS:KEY=VALUE,KEY=VALUE`, one axis each; values are those of TOML, and anything else is text.
    ///
    /// # Errors
    /// Names the words, what was found and what was expected.
    pub fn parse(words: &[impl AsRef<str>]) -> Result<Perturbation, PerturbationError> {
        let mut table = toml::Table::new();
        for word in words.iter().map(AsRef::as_ref) {
            let error = |what: String| PerturbationError::Words {
                words: word.to_owned(),
                what,
            };
            let (axis, fields) = word.split_once(':').ok_or_else(|| {
                error(format!(
                    "expected AXIS:KEY=VALUE; axes: {}",
                    AXES.join(", ")
                ))
            })?;
            let mut values = toml::Table::new();
            for field in split_fields(fields) {
                let (key, value) = field
                    .split_once('=')
                    .ok_or_else(|| error(format!("found `{field}`, expected KEY=VALUE")))?;
                let parsed = value_of(value.trim());
                if values.insert(key.trim().to_owned(), parsed).is_some() {
                    return Err(error(format!("found `{key}` twice")));
                }
            }
            if table
                .insert(axis.to_owned(), toml::Value::Table(values))
                .is_some()
            {
                return Err(error(format!("found axis `{axis}` twice")));
            }
            // Checked one by one, so that the error is about this word.
            let alone = toml::Table::from_iter([(axis.to_owned(), table[axis].clone())]);
            let parsed: Perturbation = alone
                .try_into()
                .map_err(|e: toml::de::Error| error(e.message().to_owned()))?;
            parsed.check().map_err(error)?;
        }
        let all: Perturbation =
            table
                .try_into()
                .map_err(|e: toml::de::Error| PerturbationError::Words {
                    words: words
                        .iter()
                        .map(AsRef::as_ref)
                        .collect::<Vec<_>>()
                        .join(" "),
                    what: e.message().to_owned(),
                })?;
        Ok(all)
    }

    /// Reads a TOML file with a table per axis.
    ///
    /// # Errors
    /// Names the file, line and column, what was found and what was expected.
    pub fn read(path: &Path) -> Result<Perturbation, PerturbationError> {
        let error = |what: String| PerturbationError::File {
            path: path.to_owned(),
            what,
        };
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        let parsed: Perturbation = toml::from_str(&text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].matches('\n').count() + 1;
            error(format!("line {line}: {}", e.message()))
        })?;
        parsed.check().map_err(error)?;
        Ok(parsed)
    }

    /// The perturbation of one axis at a level of strength, 1 to 5.
    ///
    /// # Errors
    /// If the axis has no levels or there is no such level.
    pub fn at_level(axis: &str, level: u8) -> Result<Perturbation, PerturbationError> {
        let error = |what: String| PerturbationError::Words {
            words: format!("{axis}:level={level}"),
            what,
        };
        if !LEVELLED.contains(&axis) {
            return Err(error(format!(
                "found axis `{axis}`, expected one with levels: {}",
                LEVELLED.join(", ")
            )));
        }
        // Noise has the ten levels of LIBERO-plus.
        let own = if axis == "noise" {
            level.saturating_mul(NOISE_LEVELS)
        } else {
            level
        };
        if !(1..=LEVELS).contains(&level) {
            return Err(error(format!(
                "level: found {level}, expected 1 to {LEVELS}"
            )));
        }
        Perturbation::parse(&[format!("{axis}:level={own}")])
    }

    /// Strength of a level of an axis in words with its unit; empty for an axis without levels.
    pub fn strength(axis: &str, level: u8) -> String {
        let times = |of_level: f64| of_level * f64::from(level);
        match axis {
            "language" => format!("rules 1 to {level}"),
            "layout" => format!(
                "up to {:.0} cm",
                100.0 * times(layout::DISPLACEMENT_OF_LEVEL)
            ),
            "robot" => format!("{:.1} rad", times(robot::RADIUS_OF_LEVEL)),
            "background" => format!("{:.0} % paint", 100.0 * times(background::SHARE_OF_LEVEL)),
            "light" => format!(
                "{:.0} % darker, {:.0} degrees",
                100.0 * times(light::DIMMING_OF_LEVEL),
                times(light::AZIMUTH_OF_LEVEL)
            ),
            "camera" => format!("{:.0} degrees", times(camera::YAW_OF_LEVEL)),
            "noise" => format!("level {} of {}", NOISE_LEVELS * level, noise::LEVELS),
            _ => String::new(),
        }
    }

    /// True for an axis that changes what can be reached at all, not only what is seen or said.
    pub fn changes_the_task(axis: &str) -> bool {
        matches!(axis, "layout" | "robot" | "physics")
    }

    /// The words that [`Perturbation::parse`] reads back, one text per axis.
    pub fn words(&self) -> Vec<String> {
        // A struct of numbers and text is a table.
        let table = toml::Table::try_from(self).unwrap_or_default();
        let axes = AXES.iter().filter_map(|axis| {
            let fields = table.get(*axis)?.as_table()?;
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(key, v)| format!("{key}={}", text_of(v)))
                .collect();
            Some(format!("{axis}:{}", fields.join(",")))
        });
        axes.collect()
    }

    /// True if nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Perturbation::default()
    }

    /// Checks every axis; axis, field, found and expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let levels = [
            (
                "language",
                self.language.as_ref().and_then(|c| c.level),
                LEVELS,
            ),
            ("layout", self.layout.and_then(|c| c.level), LEVELS),
            ("robot", self.robot.and_then(|c| c.level), LEVELS),
            ("background", self.background.and_then(|c| c.level), LEVELS),
            ("light", self.light.and_then(|c| c.level), LEVELS),
            ("camera", self.camera.and_then(|c| c.level), LEVELS),
            ("noise", self.noise.map(|c| c.level), noise::LEVELS),
        ];
        for (axis, level, most) in levels {
            if let Some(level) = level.filter(|level| !(1..=most).contains(level)) {
                return Err(format!(
                    "{axis}: level: found {level}, expected 1 to {most}"
                ));
            }
        }
        let of = |axis: &'static str| move |what: String| format!("{axis}: {what}");
        let checked = [
            self.language
                .as_ref()
                .map(|c| c.check().map_err(of("language"))),
            self.layout.map(|c| c.check().map_err(of("layout"))),
            self.robot.map(|c| c.check().map_err(of("robot"))),
            self.physics.map(|c| c.check().map_err(of("physics"))),
            self.background.map(|c| c.check().map_err(of("background"))),
            self.light.map(|c| c.check().map_err(of("light"))),
            self.camera.map(|c| c.check().map_err(of("camera"))),
            self.sensors.map(|c| c.check().map_err(of("sensors"))),
        ];
        checked.into_iter().flatten().collect()
    }

    /// The words of an episode.
    ///
    /// # Errors
    /// If the perturbation asks for the words of a task that the suite lacks.
    pub fn instruction<'a>(
        &self,
        suite: &'a Suite,
        task: &'a Task,
        key: EpisodeKey,
    ) -> Result<Cow<'a, str>, PerturbationError> {
        let Some(change) = &self.language else {
            return Ok(Cow::Borrowed(&task.instruction));
        };
        let instructions: Vec<&str> = suite.tasks.iter().map(|t| t.instruction.as_str()).collect();
        let words = change.apply(&instructions, key);
        let words = words.map_err(|what| PerturbationError::Task {
            task: task.id,
            what,
        })?;
        Ok(Cow::Owned(words))
    }

    /// The task with its extra objects and the initial state of an episode: layout, posture.
    ///
    /// # Errors
    /// If there is no room for an extra object, or a model cannot be read.
    pub fn start(
        &self,
        assets: &Assets,
        (task, state): (&Task, &InitState),
        key: EpisodeKey,
    ) -> Result<(Task, InitState), PerturbationError> {
        let (mut task, mut state) = (task.clone(), state.clone());
        if let Some(change) = self.layout {
            change.apply(assets, &mut task, &mut state, key)?;
        }
        if let Some(change) = self.robot {
            change.apply(&mut state, key);
        }
        Ok((task, state))
    }

    /// Changes the scene of an episode: physics of bodies, background, light, camera.
    pub fn apply_to_scene(&self, scene: &mut SceneDesc, key: EpisodeKey) {
        if let Some(change) = self.physics {
            change.apply(scene, key);
        }
        if let Some(change) = self.background {
            change.apply(scene, key);
        }
        if let Some(change) = self.light {
            change.apply(scene, key);
        }
        if let Some(change) = self.camera {
            change.apply(scene, key);
        }
    }

    /// The filter of the observations of an episode; `None` if they stay as they are.
    pub fn image_filter(&self, key: EpisodeKey) -> Option<ImageFilter> {
        ImageFilter::new(self.noise, self.sensors, key)
    }

    /// The filter of the commands of an episode; `None` if they stay as they are.
    pub fn action_filter(&self, key: EpisodeKey) -> Option<ActionFilter> {
        ActionFilter::new(&self.physics?, key, SETTLE_ACTION)
    }
}

/// Splits at commas outside of brackets and quotes.
fn split_fields(text: &str) -> Vec<&str> {
    let (mut fields, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0i32, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                fields.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}

/// A value of TOML, or the text itself. Whole numbers are numbers with a fraction where a field wants one.
fn value_of(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

impl fmt::Display for Perturbation {
    /// The words, separated by spaces; empty if nothing is changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

/// A value as [`value_of`] reads it back: text without quotes where it is plain.
fn text_of(value: &toml::Value) -> String {
    let plain = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '_';
    match value {
        toml::Value::String(text)
            if !text.is_empty()
                && text.chars().all(plain)
                && value_of(text).as_str() == Some(text) =>
        {
            text.clone()
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: words and files are read back as they were written; what is wrong is named.
    use super::*;

    #[test]
    fn words_are_read_back_as_they_were_written() {
        for words in [
            &["camera:yaw=30,pitch=15.5"][..],
            &["camera:offset=[0.06, 0, 0.02],fovy=12"],
            &["layout:level=3,distractors=2", "light:draw=17"],
            &["physics:mass=[0.5, 2],delay=2", "noise:level=4"],
            &[
                "language:text=\"stack the bowl, please\"",
                "sensors:blackout=both",
            ],
            &["language:text=\"\""],
            &[
                "robot:variant=312",
                "background:level=2,surfaces=table-wall",
            ],
        ] {
            let parsed = Perturbation::parse(words).expect(words[0]);
            let again = Perturbation::parse(&parsed.words()).expect(words[0]);
            assert_eq!(again, parsed);
            let toml = toml::to_string(&parsed).expect("TOML");
            assert_eq!(
                toml::from_str::<Perturbation>(&toml).expect("parsed"),
                parsed
            );
        }
        assert!(Perturbation::parse(&[""; 0]).expect("none").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (words, found) in [
            ("camera", "AXIS:KEY=VALUE"),
            ("camra:yaw=30", "unknown field `camra`"),
            ("camera:jaw=30", "unknown field `jaw`"),
            ("camera:yaw", "expected KEY=VALUE"),
            ("camera:yaw=far", "expected f64"),
            (
                "camera:yaw=300",
                "yaw: found 300, expected -180 to 180 degrees",
            ),
            ("camera:yaw=30,yaw=40", "twice"),
            ("camera:distance=0", "distance: found 0"),
            ("robot:level=6", "level: found 6, expected 1 to 5"),
            ("robot:variant=501", "variant: found 501, expected 1 to 500"),
            ("noise:level=11", "level: found 11, expected 1 to 10"),
            ("noise:kind=snow,level=1", "unknown variant `snow`"),
            ("layout:distractors=6", "distractors: found 6"),
            ("light:draw=1024", "draw: found 1024, expected 0 to 1023"),
            ("physics:mass=0", "mass: found 0"),
            ("physics:mass=[2.0, 1.0]", "mass: found [2, 1]"),
            ("background:level=1,draw=2", "either level or draw"),
            (
                "language:level=1,text=hello",
                "found 2 of level, text and task",
            ),
            ("sensors:blackout=left", "unknown variant `left`"),
        ] {
            let error = Perturbation::parse(&[words]).expect_err(words).to_string();
            assert!(error.contains(found) && error.contains(words), "{error}");
        }
        let twice = Perturbation::parse(&["camera:yaw=1.0", "camera:yaw=2.0"]);
        assert!(
            twice
                .expect_err("twice")
                .to_string()
                .contains("axis `camera` twice")
        );
    }

    #[test]
    fn every_axis_with_levels_has_five() {
        for axis in LEVELLED {
            for level in 1..=LEVELS {
                Perturbation::at_level(axis, level).expect(axis);
            }
            assert!(!Perturbation::strength(axis, 3).is_empty());
            for level in [0, 6] {
                assert!(Perturbation::at_level(axis, level).is_err());
            }
        }
        assert!(Perturbation::at_level("physics", 1).is_err());
        assert_eq!(Perturbation::strength("layout", 5), "up to 15 cm");
        assert_eq!(Perturbation::strength("robot", 3), "0.3 rad");
        assert_eq!(
            Perturbation::strength("light", 3),
            "51 % darker, 36 degrees"
        );
    }
}
