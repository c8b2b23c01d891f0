//! Another goal in the same scene.

use crate::target::Target;
use bitvla_tasks::bddl::{ObjectDecl, Problem};
use bitvla_tasks::{Suite, Task};
use serde::{Deserialize, Serialize};

/// Words for the objects of the suites, by category; of others, their category without underscores.
const NAMES: [(&str, &str); 16] = [
    ("akita_black_bowl", "black bowl"),
    ("black_book", "book"),
    ("chefmate_8_frypan", "frying pan"),
    ("cookies", "cookie box"),
    ("cream_cheese", "cream cheese box"),
    ("glazed_rim_porcelain_ramekin", "ramekin"),
    ("moka_pot", "moka pot"),
    ("new_salad_dressing", "salad dressing"),
    ("plate", "plate"),
    ("porcelain_mug", "white mug"),
    ("red_coffee_mug", "red mug"),
    ("white_bowl", "white bowl"),
    ("white_yellow_mug", "yellow and white mug"),
    ("wine_bottle", "wine bottle"),
    ("wooden_tray", "tray"),
    ("yellow_book", "yellow book"),
];
/// Beginnings and ends of the words that name the object of a sentence, with what is said about its place.
const FRAMES: [(&str, &str); 6] = [
    ("pick up the ", " and place it "),
    ("put both ", " in "),
    ("put both ", " on "),
    ("put the ", " in "),
    ("put the ", " on "),
    ("push the ", " to "),
];

/// Another object has to be moved to the same place, and the words say so. A task about no movable object gets the goal of another task of the suite with the
/// same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoalChange {
    /// Number of the goal among those that a task can have; counted round.
    pub variant: u8,
}

/// Words for an object.
fn name_of(category: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == category);
    known.map_or_else(
        || category.replace('_', " "),
        |(_, name)| (*name).to_owned(),
    )
}

impl GoalChange {
    /// The task with another goal and its words.
    ///
    /// # Errors
    /// What was found, if a task has no other goal.
    pub(crate) fn apply(&self, suite: &Suite, task: &Task) -> Result<Task, String> {
        let target = Target::of(task).filter(|target| target.is_movable);
        let others = target
            .as_ref()
            .map_or_else(Vec::new, |target| candidates(&task.problem, target));
        let (Some(target), false) = (target, others.is_empty()) else {
            return self.of_another_task(suite, task);
        };
        let other = others[usize::from(self.variant) % others.len()];
        let mut changed = task.clone();
        for predicate in &mut changed.problem.goal.predicates {
            if predicate.args.first() == Some(&target.instance) {
                predicate.args[0].clone_from(&other.name);
            }
        }
        // Two objects of one category are told apart.
        let own = target.declaration(task).map(|own| own.category.as_str());
        let name = name_of(&other.category);
        let name = match own == Some(other.category.as_str()) {
            true => format!("other {name}"),
            false => name,
        };
        let words = renamed(task.words(), own.unwrap_or_default(), &name);
        changed.other_words = Some(words);
        Ok(changed)
    }

    /// The goal of another task of the suite in the same scene.
    fn of_another_task(&self, suite: &Suite, task: &Task) -> Result<Task, String> {
        let scene = |task: &Task| (task.problem.objects.clone(), task.problem.fixtures.clone());
        let others = suite.tasks.iter().filter(|other| {
            other.id != task.id
                && scene(other) == scene(task)
                && other.goal().condition == task.goal().condition
        });
        let others: Vec<&Task> = others.collect();
        if others.is_empty() {
            return Err("goal: found no other goal for this scene".to_owned());
        }
        let other = others[(task.id + usize::from(self.variant)) % others.len()];
        let mut changed = task.clone();
        changed.problem.goal = other.problem.goal.clone();
        // Regions of the goal, which a file declares only where it needs them.
        for region in &other.problem.regions {
            if changed.problem.region(&region.name).is_none() {
                changed.problem.regions.push(region.clone());
            }
        }
        changed.other_words = Some(other.words().to_owned());
        Ok(changed)
    }
}

/// Objects that can take the place of the target: none that the goal names, and none that carries another.
fn candidates<'a>(problem: &'a Problem, target: &Target) -> Vec<&'a ObjectDecl> {
    let named = |name: &str| {
        let mut predicates = problem.goal.predicates.iter();
        predicates.any(|p| {
            p.args
                .iter()
                .any(|arg| arg == name || arg.starts_with(&format!("{name}_")))
        })
    };
    let carries = |name: &str| {
        let mut facts = problem.init.iter();
        facts.any(|fact| fact.args.get(1).is_some_and(|below| below == name))
    };
    let free = problem.objects.iter().filter(|object| {
        object.name != target.instance && !named(&object.name) && !carries(&object.name)
    });
    free.collect()
}

/// A sentence in which the words for an object of `category`, and for its place, are replaced.
fn renamed(sentence: &str, category: &str, name: &str) -> String {
    // The longest ending of the name of the object that the sentence has.
    let own = name_of(category);
    let words: Vec<&str> = own.split(' ').collect();
    let endings = (0..words.len()).map(|from| words[from..].join(" "));
    let framed = FRAMES.iter().find_map(|(before, after)| {
        let rest = sentence.strip_prefix(before)?;
        let (_, place) = rest.rsplit_once(after)?;
        Some(match before.strip_suffix("both ") {
            Some(verb) => format!("{verb}both the {name} and the {own}{after}{place}"),
            None => format!("{before}{name}{after}{place}"),
        })
    });
    // A sentence of two halves keeps the one about something else.
    let two_halves = sentence.contains(" and ") && !sentence.contains(" and place it ");
    match (two_halves, framed) {
        (false, Some(framed)) => framed,
        _ => {
            let mut endings = endings.filter(|words| sentence.contains(words.as_str()));
            let found = endings.next();
            found.map_or_else(
                || format!("{sentence}, with the {name}"),
                |words| sentence.replacen(&words, name, 1),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    //! Guarantees: every task of the suites but one, whose scene has nothing else, has another goal that its scene can reach; words name it.
    use super::*;
    use bitvla_tasks::Assets;

    #[test]
    fn words_name_the_new_goal() {
        for (sentence, category, name, renamed_to) in [
            (
                "pick up the black bowl between the plate and the ramekin and place it on the plate",
                "akita_black_bowl",
                "cookie box",
                "pick up the cookie box and place it on the plate",
            ),
            (
                "put the bowl on top of the cabinet",
                "akita_black_bowl",
                "cream cheese box",
                "put the cream cheese box on top of the cabinet",
            ),
            (
                "open the top drawer and put the bowl inside",
                "akita_black_bowl",
                "wine bottle",
                "open the top drawer and put the wine bottle inside",
            ),
            (
                "put both moka pots on the stove",
                "moka_pot",
                "frying pan",
                "put both the frying pan and the moka pot on the stove",
            ),
        ] {
            assert_eq!(renamed(sentence, category, name), renamed_to);
        }
    }

    #[test]
    fn every_task_has_another_goal() {
        let assets = Assets::open(&Assets::default_dir()).expect("assets");
        for name in bitvla_tasks::suite::BUILTIN_SUITES {
            let suite = Suite::load(&assets, name).expect(name);
            for task in &suite.tasks {
                let other = GoalChange { variant: 0 }.apply(&suite, task);
                // Two moka pots on a stove, both of which it is about.
                if (name, task.id) == ("long", 8) {
                    assert!(other.is_err());
                    continue;
                }
                let other = other.unwrap_or_else(|what| panic!("{name} {}: {what}", task.id));
                assert_ne!(other.problem.goal, task.problem.goal, "{name} {}", task.id);
                assert_ne!(other.words(), task.instruction, "{name} {}", task.id);
                let world = other.world(&assets, &task.init_states[0]).expect("a world");
                other.compile_goal(&world).expect("a goal");
            }
        }
    }
}
