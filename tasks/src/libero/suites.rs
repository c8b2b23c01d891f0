//! LIBERO's suites from a checkout: which tasks in which order, what the policy is told, how long it may take (fact
//! sheet section 9).
//!
//! A suite of LIBERO is called `libero:spatial`, `libero:object`, `libero:goal`, `libero:10` (also `libero:long`) or
//! `libero:90`. The order of the four suites of ten is LIBERO's own and part of the protocol; `libero:90` is in order
//! of its file names.

use super::fixtures::FixturePoses;
use super::init::InitFile;
use super::{CHECKOUT, not_one};
use crate::bddl::Problem;
use crate::placement::lift_out;
use crate::{Assets, Suite, Task, TaskError};
use std::path::{Path, PathBuf};

/// Control steps with the wait action before the policy acts.
const SETTLE_STEPS: usize = 10;

/// One of LIBERO's suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiberoSuite {
    /// Name on the command line and in records.
    pub name: &'static str,
    /// Other names on the command line.
    pub aliases: &'static [&'static str],
    /// Folder under `bddl_files` and `init_files`.
    pub folder: &'static str,
    /// Control steps a policy has after settling.
    pub horizon: usize,
    /// Number of tasks.
    pub tasks: usize,
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// File names without extension: what they begin with, what they end with, and what differs.
    Given(&'static str, &'static str, &'static [&'static str]),
    /// All files of the folder by name.
    ByName,
}

/// All suites.
pub const SUITES: [LiberoSuite; 5] = [
    LiberoSuite {
        name: "libero:spatial",
        aliases: &["libero:libero_spatial"],
        folder: "libero_spatial",
        horizon: 220,
        tasks: 10,
        order: Order::Given(
            "pick_up_the_black_bowl_",
            "_and_place_it_on_the_plate",
            &[
                "between_the_plate_and_the_ramekin",
                "next_to_the_ramekin",
                "from_table_center",
                "on_the_cookie_box",
                "in_the_top_drawer_of_the_wooden_cabinet",
                "on_the_ramekin",
                "next_to_the_cookie_box",
                "on_the_stove",
                "next_to_the_plate",
                "on_the_wooden_cabinet",
            ],
        ),
    },
    LiberoSuite {
        name: "libero:object",
        aliases: &["libero:libero_object"],
        folder: "libero_object",
        horizon: 280,
        tasks: 10,
        order: Order::Given(
            "pick_up_the_",
            "_and_place_it_in_the_basket",
            &[
                "alphabet_soup",
                "cream_cheese",
                "salad_dressing",
                "bbq_sauce",
                "ketchup",
                "tomato_sauce",
                "butter",
                "milk",
                "chocolate_pudding",
                "orange_juice",
            ],
        ),
    },
    LiberoSuite {
        name: "libero:goal",
        aliases: &["libero:libero_goal"],
        folder: "libero_goal",
        horizon: 300,
        tasks: 10,
        order: Order::Given(
            "",
            "",
            &[
                "open_the_middle_drawer_of_the_cabinet",
                "put_the_bowl_on_the_stove",
                "put_the_wine_bottle_on_top_of_the_cabinet",
                "open_the_top_drawer_and_put_the_bowl_inside",
                "put_the_bowl_on_top_of_the_cabinet",
                "push_the_plate_to_the_front_of_the_stove",
                "put_the_cream_cheese_in_the_bowl",
                "turn_on_the_stove",
                "put_the_bowl_on_the_plate",
                "put_the_wine_bottle_on_the_rack",
            ],
        ),
    },
    LiberoSuite {
        name: "libero:10",
        aliases: &["libero:long", "libero:libero_10"],
        folder: "libero_10",
        horizon: 520,
        tasks: 10,
        order: Order::Given(
            "",
            "",
            &[
                "LIVING_ROOM_SCENE2_put_both_the_alphabet_soup_and_the_tomato_sauce_in_the_basket",
                "LIVING_ROOM_SCENE2_put_both_the_cream_cheese_box_and_the_butter_in_the_basket",
                "KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it",
                "KITCHEN_SCENE4_put_the_black_bowl_in_the_bottom_drawer_of_the_cabinet_and_close_it",
                "LIVING_ROOM_SCENE5_put_the_white_mug_on_the_left_plate_and_put_the_yellow_and_white_mug_on_the_right_plate",
                "STUDY_SCENE1_pick_up_the_book_and_place_it_in_the_back_compartment_of_the_caddy",
                "LIVING_ROOM_SCENE6_put_the_white_mug_on_the_plate_and_put_the_chocolate_pudding_to_the_right_of_the_plate",
                "LIVING_ROOM_SCENE1_put_both_the_alphabet_soup_and_the_cream_cheese_box_in_the_basket",
                "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove",
                "KITCHEN_SCENE6_put_the_yellow_and_white_mug_in_the_microwave_and_close_it",
            ],
        ),
    },
    LiberoSuite {
        name: "libero:90",
        aliases: &["libero:libero_90"],
        folder: "libero_90",
        horizon: 400,
        tasks: 90,
        order: Order::ByName,
    },
];

impl LiberoSuite {
    /// The suite of a name or alias; `None` if there is none.
    pub fn named(name: &str) -> Option<&'static LiberoSuite> {
        SUITES
            .iter()
            .find(|suite| suite.name == name || suite.aliases.contains(&name))
    }
}

/// What a policy is told: the file name without its scene, in words.
pub fn instruction(file_stem: &str) -> String {
    let scene_end = file_stem.find("SCENE").and_then(|at| {
        let rest = &file_stem[at + 5..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let scene = &file_stem[..at];
        let is_scene = digits > 0
            && rest[digits..].starts_with('_')
            && scene.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        is_scene.then_some(at + 5 + digits + 1)
    });
    file_stem[scene_end.unwrap_or(0)..].replace('_', " ")
}

/// The suites of a LIBERO checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiberoSuites {
    root: PathBuf,
}

impl LiberoSuites {
    /// Opens a checkout, or the folder in it that holds `bddl_files`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(dir: &Path) -> Result<LiberoSuites, TaskError> {
        let places = [
            dir.join("libero").join("libero"),
            dir.join("libero"),
            dir.to_owned(),
        ];
        let found = places
            .iter()
            .find(|place| place.join("bddl_files").is_dir());
        match found {
            Some(root) => Ok(LiberoSuites { root: root.clone() }),
            None => Err(not_one(dir, "libero/libero/bddl_files", CHECKOUT)),
        }
    }

    /// The folder that holds `bddl_files`, `init_files` and `assets`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the BDDL files of a suite.
    pub fn bddl_dir(&self, suite: &LiberoSuite) -> PathBuf {
        self.root.join("bddl_files").join(suite.folder)
    }

    /// Folder of the initial states of a suite.
    pub fn init_dir(&self, suite: &LiberoSuite) -> PathBuf {
        self.root.join("init_files").join(suite.folder)
    }

    /// Names of the files of a suite without extension, in order of its tasks.
    ///
    /// # Errors
    /// When the folder cannot be read or does not hold as many tasks as the suite has.
    pub fn files(&self, suite: &LiberoSuite) -> Result<Vec<String>, TaskError> {
        let dir = self.bddl_dir(suite);
        if let Order::Given(before, after, names) = suite.order {
            let whole = |name: &&str| format!("{before}{name}{after}");
            return Ok(names.iter().map(whole).collect());
        }
        let read = |source| TaskError::Read {
            path: dir.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            if let Some(stem) = name.to_string_lossy().strip_suffix(".bddl") {
                names.push(stem.to_owned());
            }
        }
        names.sort_unstable();
        if names.len() != suite.tasks {
            return Err(TaskError::Folder {
                path: dir,
                found: format!("{} BDDL files", names.len()),
                expected: format!("{}, as {} has tasks", suite.tasks, suite.name),
            });
        }
        Ok(names)
    }

    /// The suite without initial states: no model is needed for that.
    ///
    /// # Errors
    /// When a BDDL file is missing or not understood.
    pub fn outline(&self, suite: &LiberoSuite) -> Result<Suite, TaskError> {
        let dir = self.bddl_dir(suite);
        let mut tasks = Vec::with_capacity(suite.tasks);
        for (id, name) in self.files(suite)?.into_iter().enumerate() {
            let path = dir.join(format!("{name}.bddl"));
            let text = std::fs::read_to_string(&path).map_err(|source| TaskError::Read {
                path: path.clone(),
                source,
            })?;
            let problem = Problem::parse(&path.display().to_string(), &text)?;
            tasks.push(Task {
                id,
                instruction: instruction(&name),
                name,
                problem,
                init_states: Vec::new(),
            });
        }
        Ok(Suite {
            name: suite.name.to_owned(),
            horizon: suite.horizon,
            settle_steps: SETTLE_STEPS,
            tasks,
        })
    }

    /// The suite with its initial states; models (for joints and placement) come from `assets`. Objects that are
    /// stored inside the table or floor are put onto it ([`lift_out`]).
    ///
    /// # Errors
    /// When a file is missing or not understood, or a category has no model.
    pub fn load(
        &self,
        suite: &LiberoSuite,
        assets: &Assets,
        fixtures: &FixturePoses,
    ) -> Result<Suite, TaskError> {
        let mut out = self.outline(suite)?;
        for task in &mut out.tasks {
            let path = self
                .init_dir(suite)
                .join(format!("{}.pruned_init", task.name));
            let mut states = InitFile::read(&path)?.states(assets, &task.problem)?;
            fixtures.place(assets, suite, task, &mut states)?;
            for state in &mut states {
                lift_out(assets, &task.problem, state)?;
            }
            task.init_states = states;
        }
        Ok(out)
    }
}
