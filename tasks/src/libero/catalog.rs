//! The suites of LIBERO: names, horizons and order of tasks (`docs/reference/libero.md`, section 9).
//!
//! A suite of LIBERO is called `libero:spatial`, `libero:object`, `libero:goal`, `libero:10` (also `libero:long`) or
//! `libero:90`. The order of the four suites of ten is LIBERO's own and part of the protocol; `libero:90` is in order
//! of its file names, as many as there are.

/// One of LIBERO's suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiberoSuite {
    /// Name on the command line and in records.
    pub name: &'static str,
    /// Other names on the command line.
    pub aliases: &'static [&'static str],
    /// Folder under `bddl_files` and `init_files`.
    pub folder: &'static str,
    /// Control steps that a policy has after settling.
    pub horizon: usize,
    /// Number of tasks in a complete copy.
    pub tasks: usize,
    pub(super) order: TaskOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOrder {
    /// File names without extension: their common beginning, their common end, and the parts between.
    Given(&'static str, &'static str, &'static [&'static str]),
    /// All files of the folder by name.
    ByName,
}

/// All suites of LIBERO.
pub const SUITES: [LiberoSuite; 5] = [
    LiberoSuite {
        name: "libero:spatial",
        aliases: &["libero:libero_spatial"],
        folder: "libero_spatial",
        horizon: 220,
        tasks: 10,
        order: TaskOrder::Given(
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
        order: TaskOrder::Given(
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
        order: TaskOrder::Given(
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
        order: TaskOrder::Given(
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
        order: TaskOrder::ByName,
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
