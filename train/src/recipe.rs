//! Recipes of training: one TOML file per suite (`train/recipes`) that lists the network, the settings of collection and
//! optimisation and the stages in their order. The recipes of the suites are part of the program; `--recipe FILE` reads
//! another.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name and text of the recipes that are part of the program.
const RECIPES: [(&str, &str); 5] = [
    ("spatial", include_str!("../recipes/spatial.toml")),
    ("object", include_str!("../recipes/object.toml")),
    ("goal", include_str!("../recipes/goal.toml")),
    ("long", include_str!("../recipes/long.toml")),
    ("all", include_str!("../recipes/all.toml")),
];

/// Returns the names of the recipes that are part of the program.
pub fn names() -> Vec<&'static str> {
    RECIPES.map(|(name, _)| name).to_vec()
}

/// Everything that decides the bytes of the checkpoints, apart from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Suites whose tasks are learned, by name.
    pub suites: Vec<String>,
    /// Number of expert episodes whose frames are never trained on.
    pub validation_episodes: usize,
    /// Sizes of the network.
    pub network: NetworkSizes,
    /// Taking of frames.
    pub collection: CollectionSettings,
    /// Optimiser and losses.
    pub optimisation: OptimisationSettings,
    /// Random changes of the training images; none if absent.
    #[serde(default)]
    pub augmentation: ImageAugmentation,
    /// Stages in their order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// Sizes of the network that differ between recipes; the others are those of [`crate::net::NetConfig::sized`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSizes {
    /// Width of the vision tower and the language model.
    pub width: usize,
    /// Feed-forward width of the vision tower.
    pub vision_ffn: usize,
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Feed-forward width of the language model.
    pub language_ffn: usize,
    /// Layers of the language model.
    pub language_layers: usize,
}

/// Settings of collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionSettings {
    /// Control steps between two frames while the expert acts.
    pub expert_stride: usize,
    /// Control steps between two frames while a policy acts.
    pub policy_stride: usize,
    /// Fraction of the demonstrations without disturbances.
    pub undisturbed: f64,
    /// In corrections the expert intervenes for a while whenever the policy stands still, and every now and then, instead of taking over once; false if
    /// absent. For tasks of several parts: a policy that stands still in the first one never comes to the second.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interventions: bool,
}

/// Settings of the optimiser and the losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimisationSettings {
    /// Samples of a step.
    pub batch: usize,
    /// Decoupled weight decay (docs/reference/bitvla.md, section 9.3).
    pub weight_decay: f64,
    /// Upper bound of the gradient norm.
    pub gradient_norm: f64,
    /// Weight of the layer-wise alignment (docs/reference/bitvla.md, section 9.1).
    pub alignment: f32,
    /// Weight of the loss of telling the instruction from the action states ([`crate::net::instruction`]); 0 if absent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub instruction: f32,
    /// Slope in the backward pass of the projectors' GELU where its input is below [`LEAK_BELOW`](crate::net::activation::LEAK_BELOW); 0, which is also
    /// taken if absent, keeps the derivative. Without a slope most units of the connector end so far below zero that no image makes them act, and what a
    /// later suite would need them for is not learned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub projector_leak: f32,
    /// Updates the matrices between hidden layers by Muon ([`crate::muon::MuonStep`]) and all else by AdamW; false if absent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub muon: bool,
}

/// True for a number that a recipe does not state.
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// Random changes of the images of a sample, drawn anew whenever it is seen, both images apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageAugmentation {
    /// Largest shift along each axis, pixels of the stored image; the edge is repeated.
    #[serde(default)]
    pub shift_pixels: usize,
    /// Largest relative change of the brightness.
    #[serde(default)]
    pub brightness: f32,
    /// Largest relative change of the contrast about the mean of the image.
    #[serde(default)]
    pub contrast: f32,
}

/// Stage of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Name, also of its folder.
    pub name: String,
    /// Only run with `--ablation`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ablation: bool,
    /// Makes a data set, which all later training stages use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<CollectStage>,
    /// Trains on all data sets so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<TrainStage>,
}

/// Work of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StageWork<'a> {
    /// Makes a data set.
    Collect(&'a CollectStage),
    /// Trains.
    Train(&'a TrainStage),
}

/// Stage that makes a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectStage {
    /// Number of episodes, spread evenly over the tasks.
    pub episodes: usize,
    /// Indices among the tasks of all suites of the recipe; every task if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<usize>>,
    /// Number of tasks: those in which the policy of the collection before this one, of all tasks, succeeded least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardest: Option<usize>,
    /// Training stage whose policy acts; the disturbed expert if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Width that is added on each side to every range that fixtures and objects are drawn from, m; 0 if absent. Where a suite varies a
    /// place by a centimetre, a policy can do without looking, until it is a centimetre off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub placement_margin: f64,
}

impl CollectStage {
    /// Returns true if a policy acts in all tasks.
    pub(crate) fn is_of_all_tasks(&self) -> bool {
        self.policy.is_some() && self.tasks.is_none() && self.hardest.is_none()
    }
}

/// Stage that trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainStage {
    /// Number of steps.
    pub steps: u64,
    /// Number of steps of the linear start.
    pub warmup: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Weights of the vision tower and the language model.
    pub weights: TrainedWeights,
    /// Stage whose parameters it starts from; fresh ones if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Suite whose full-precision checkpoint that ships it starts from, in place of `from` ([`crate::pretrained`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_suite: Option<String>,
    /// Aligns the layers of the vision tower with those of `from` in full precision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub align: bool,
    /// Name of the checkpoint that ships, if this is one; the last finished stage of a name ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ships_as: Option<String>,
}

/// Weights that a stage trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainedWeights {
    /// Full precision.
    Full,
    /// Ternary weights and int8 activations, straight-through gradients.
    Ternary,
}

impl Stage {
    /// Returns the suite whose checkpoint it starts from, if it does.
    pub fn pretrained_on(&self) -> Option<&str> {
        self.train.as_ref()?.from_suite.as_deref()
    }

    /// Returns the work; [`Recipe::parse`] has checked that there is exactly one.
    ///
    /// # Panics
    /// For a stage without work that was not parsed.
    pub fn work(&self) -> StageWork<'_> {
        match (&self.collect, &self.train) {
            (Some(collect), _) => StageWork::Collect(collect),
            (None, Some(train)) => StageWork::Train(train),
            (None, None) => unreachable!("a stage without work is refused when it is read"),
        }
    }
}

impl Recipe {
    /// Returns the recipe of a suite.
    ///
    /// # Errors
    /// Lists the recipes there are if `name` is none.
    pub fn named(name: &str) -> Result<Recipe> {
        let Some((name, text)) = RECIPES.iter().find(|(known, _)| *known == name) else {
            bail!(
                "there is no recipe `{name}`; there are: {}",
                names().join(", ")
            );
        };
        Recipe::parse(text, &format!("recipe `{name}`"))
    }

    /// Reads a recipe from a file.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Recipe> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading recipe {}", path.display()))?;
        Recipe::parse(&text, &path.display().to_string())
    }

    /// Parses and checks a recipe; `origin` names it in errors.
    ///
    /// # Errors
    /// Names the recipe, the stage, what was found and what was expected.
    pub fn parse(text: &str, origin: &str) -> Result<Recipe> {
        let recipe: Recipe = toml::from_str(text).with_context(|| origin.to_owned())?;
        recipe.check().with_context(|| origin.to_owned())?;
        Ok(recipe)
    }

    /// Returns the name of the folders of data and checkpoints: the suite, or `all` for several.
    pub fn name(&self) -> &str {
        match self.suites.as_slice() {
            [suite] => suite,
            _ => "all",
        }
    }

    /// Returns the training stage `name`, if it comes before stage `index`.
    fn earlier_training(&self, index: usize, name: &str) -> Option<&TrainStage> {
        let stage = self.stages[..index].iter().find(|s| s.name == name)?;
        stage.train.as_ref()
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.suites.is_empty(), "suites is empty");
        let (optimisation, collection) = (&self.optimisation, &self.collection);
        ensure!(
            optimisation.batch > 0
                && optimisation
                    .batch
                    .is_multiple_of(crate::trainer::MICROBATCH_SIZE),
            "batch is {}, expected a multiple of {}",
            optimisation.batch,
            crate::trainer::MICROBATCH_SIZE
        );
        ensure!(
            collection.expert_stride > 0 && collection.policy_stride > 0,
            "expert_stride and policy_stride are {} and {}, expected at least 1",
            collection.expert_stride,
            collection.policy_stride
        );
        ensure!(
            optimisation.instruction >= 0.0 && optimisation.instruction.is_finite(),
            "instruction is {}, expected a weight of at least 0",
            optimisation.instruction
        );
        ensure!(
            (0.0..=1.0).contains(&optimisation.projector_leak),
            "projector_leak is {}, expected a slope from 0 to 1",
            optimisation.projector_leak
        );
        let sizes = &self.network;
        ensure!(
            sizes.width > 0
                && sizes.width.is_multiple_of(64)
                && sizes.vision_ffn > 0
                && sizes.language_ffn > 0
                && sizes.vision_layers > 0
                && sizes.language_layers > 0,
            "the network is {sizes:?}, expected a width that is a multiple of 64 and sizes of at least 1"
        );
        ensure!(
            self.augmentation.shift_pixels < crate::dataset::IMAGE_SIZE,
            "shift_pixels is {}, expected less than {}",
            self.augmentation.shift_pixels,
            crate::dataset::IMAGE_SIZE
        );
        for (index, stage) in self.stages.iter().enumerate() {
            self.check_stage(index, stage)
                .with_context(|| format!("stage `{}`", stage.name))?;
        }
        Ok(())
    }

    fn check_stage(&self, index: usize, stage: &Stage) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        ensure!(
            !stage.name.is_empty() && stage.name.chars().all(plain),
            "the name is a folder's: letters, digits and -"
        );
        let earlier = &self.stages[..index];
        ensure!(
            stage.name != "validation" && earlier.iter().all(|s| s.name != stage.name),
            "the name is taken"
        );
        let training = |name: &str| {
            let found = self.earlier_training(index, name);
            found.with_context(|| format!("there is no training stage `{name}` before it"))
        };
        match (&stage.collect, &stage.train) {
            (Some(collect), None) => {
                ensure!(collect.episodes > 0, "episodes is 0");
                ensure!(
                    (0.0..=0.1).contains(&collect.placement_margin),
                    "placement_margin is {}, expected 0 to 0.1 m",
                    collect.placement_margin
                );
                collect.policy.as_deref().map(training).transpose()?;
                if let Some(count) = collect.hardest {
                    let of_all = earlier.iter().filter_map(|s| s.collect.as_ref());
                    ensure!(
                        count > 0 && collect.tasks.is_none(),
                        "hardest is {count}, expected at least 1 and no `tasks`"
                    );
                    ensure!(
                        of_all.into_iter().any(CollectStage::is_of_all_tasks),
                        "hardest: no policy acts in all tasks before it"
                    );
                }
            }
            (None, Some(train)) => {
                ensure!(train.steps > train.warmup, "steps is not above warmup");
                ensure!(
                    train.learning_rate > 0.0 && train.learning_rate.is_finite(),
                    "learning_rate is {}, expected a positive number",
                    train.learning_rate
                );
                ensure!(
                    earlier.iter().any(|s| s.collect.is_some()),
                    "there is no data set before it"
                );
                let from = train.from.as_deref().map(training).transpose()?;
                if let Some(suite) = &train.from_suite {
                    ensure!(
                        from.is_none() && names().contains(&suite.as_str()),
                        "from_suite is `{suite}`, expected one of {} and no `from`",
                        names().join(", ")
                    );
                }
                let full = from.is_some_and(|from| from.weights == TrainedWeights::Full);
                ensure!(
                    !train.align || full,
                    "align needs a start (`from`) in full precision"
                );
            }
            _ => bail!("expected either `collect` or `train`"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: the recipes of the program are valid, and a recipe that cannot be followed is refused with its place.
    use super::*;

    fn refused(change: impl Fn(&str) -> String) -> String {
        let text = change(RECIPES[0].1);
        let error = Recipe::parse(&text, "my.toml").expect_err("a refusal");
        format!("{error:#}")
    }

    #[test]
    fn the_recipes_of_the_program_are_valid() {
        for name in names() {
            let recipe = Recipe::named(name).expect("a recipe");
            assert_eq!(recipe.name(), name);
            for ships in ["full", "ternary", "ternary-unaligned", "ternary-scratch"] {
                let of = |s: &&Stage| {
                    (s.train.as_ref()).is_some_and(|t| t.ships_as.as_deref() == Some(ships))
                };
                assert!(recipe.stages.iter().any(|s| of(&s)), "{name} {ships}");
            }
        }
        let unknown = Recipe::named("kitchen").expect_err("none").to_string();
        assert!(unknown.contains("kitchen") && unknown.contains("spatial, object, goal, long"));
    }

    #[test]
    fn recipes_that_cannot_be_followed_are_refused() {
        let words = refused(|text| text.replace("from = \"full\"", "from = \"fool\""));
        assert!(
            words.contains("my.toml") && words.contains("distill") && words.contains("fool"),
            "{words}"
        );
        let words = refused(|text| text.replace("episodes = 300", "episodes = 300\nhardest = 0"));
        assert!(words.contains("hardest is 0"), "{words}");
        let early = "name = \"corrections-1\"\n[stage.collect]\nepisodes = 300";
        let words = refused(|text| text.replace(early, &format!("{early}\nhardest = 2")));
        assert!(
            words.contains("corrections-1") && words.contains("no policy acts in all tasks"),
            "{words}"
        );
        let words = refused(|text| text.replace(early, &format!("{early}\nplacement_margin = -1")));
        assert!(words.contains("placement_margin is -1"), "{words}");
        let start = "from = \"full\"";
        let words = refused(|text| text.replace(start, "from_suite = \"kitchen\""));
        assert!(words.contains("from_suite is `kitchen`"), "{words}");
        let words = refused(|text| text.replace(start, &format!("{start}\nfrom_suite = \"goal\"")));
        assert!(words.contains("no `from`"), "{words}");
        let words = refused(|text| text.replace("batch = 32", "batch = 30"));
        assert!(words.contains("multiple of 4"), "{words}");
        let words = refused(|text| text.replace("expert_stride", "stride"));
        assert!(words.contains("stride"), "{words}");
        let words = refused(|text| text.replace("name = \"distill\"", "name = \"full\""));
        assert!(words.contains("taken"), "{words}");
        let words = refused(|text| text.replace("align = true", "align = true\ncolour = 1"));
        assert!(words.contains("colour"), "{words}");
    }
}
