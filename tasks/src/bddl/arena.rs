//! Problem names and the arenas that they play in. LIBERO looks the whole name up; so does this program.

use super::problem::Problem;

/// Problem names of LIBERO, in lower case, and their arenas.
pub const PROBLEMS: [(&str, &str); 6] = [
    ("libero_coffee_table_manipulation", "coffee_table"),
    ("libero_floor_manipulation", "floor"),
    ("libero_kitchen_tabletop_manipulation", "kitchen"),
    ("libero_living_room_tabletop_manipulation", "living_room"),
    ("libero_study_tabletop_manipulation", "study"),
    ("libero_tabletop_manipulation", "table"),
];

impl Problem {
    /// Name of the arena that the problem plays in; `None` if the problem name is none of [`PROBLEMS`].
    pub fn arena(&self) -> Option<&'static str> {
        let name = self.name.to_ascii_lowercase();
        (PROBLEMS.iter())
            .find(|(problem, _)| *problem == name)
            .map(|(_, arena)| *arena)
    }

    /// Arena and scene variant of a problem name of LIBERO-plus: one of [`PROBLEMS`], an underscore and the name of the
    /// variant as written, for example `tabletop_light_sync_modified_12`.
    pub fn scene_variant(&self) -> Option<(&'static str, &str)> {
        PROBLEMS.iter().find_map(|(problem, arena)| {
            let head = self.name.get(..problem.len())?;
            let variant = self.name[problem.len()..].strip_prefix('_')?;
            (head.eq_ignore_ascii_case(problem) && !variant.is_empty()).then_some((*arena, variant))
        })
    }
}
