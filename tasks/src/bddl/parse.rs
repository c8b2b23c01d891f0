//! From s-expressions to a checked [`Problem`].

use super::error::{BddlError, SourceLocation};
use super::goal::GoalParser;
use super::predicate::Predicate;
use super::problem::{ObjectDecl, PredicateInstance, Problem};
use super::reader::SexprReader;
use super::region::{self, LocatedRegion};
use super::sexpr::{self, Sexpr};

impl Problem {
    /// Parses and checks a text; `file` names it in errors.
    ///
    /// # Errors
    /// Names the line and column of the first mistake.
    pub fn parse(file: &str, text: &str) -> Result<Problem, BddlError> {
        let root = sexpr::parse(file, text)?;
        let parser = ProblemParser {
            reader: SexprReader { file },
        };
        parser.problem(&root)
    }
}

/// Sections that LIBERO's reader takes and this program does nothing with.
const WITHOUT_EFFECT: [&str; 1] = [
    // LIBERO's reader passes over it: it names features of BDDL that a file uses.
    ":requirements",
];
/// The only domain of LIBERO's files; its reader refuses others.
const DOMAIN: &str = "robosuite";

struct ProblemParser<'a> {
    reader: SexprReader<'a>,
}

/// Sections whose names are checked when all objects are known.
#[derive(Default)]
struct Sections<'s> {
    /// Names of the sections so far.
    seen: Vec<String>,
    regions: Vec<LocatedRegion>,
    obj_of_interest: Vec<(String, SourceLocation)>,
    init: &'s [Sexpr],
    goal: Option<&'s Sexpr>,
}

impl ProblemParser<'_> {
    fn problem(&self, root: &Sexpr) -> Result<Problem, BddlError> {
        let (items, location) = self.reader.list(root, "(define ...)")?;
        self.reader.keyword(items, location, "define")?;
        let mut problem = Problem::unread(self.reader.file);
        let mut sections = Sections::default();
        for item in &items[1..] {
            self.section(item, &mut sections, &mut problem)?;
        }
        if problem.name.is_empty() {
            return Err(self.reader.fail(location, "no (problem NAME)"));
        }
        for region in sections.regions {
            self.add_region(region, &mut problem)?;
        }
        for (name, location) in sections.obj_of_interest {
            // LIBERO keeps the list as it is; nothing here depends on it.
            if !problem.declares(&name) && problem.region(&name).is_none() {
                let message = format!("unknown object `{name}` in :obj_of_interest");
                let notice = self.reader.fail(location, message).to_string();
                problem.notices.push(notice);
            }
            problem.obj_of_interest.push(name);
        }
        for item in sections.init {
            let instance = self.initial_predicate(item, &problem)?;
            problem.init.push(instance);
        }
        let goal = (sections.goal).ok_or_else(|| self.reader.fail(location, "no (:goal ...)"))?;
        problem.goal = GoalParser::parse(&self.reader, goal, &problem)?;
        Ok(problem)
    }

    /// Reads one section into the problem, or into `sections` what needs the others.
    fn section<'s>(
        &self,
        item: &'s Sexpr,
        sections: &mut Sections<'s>,
        problem: &mut Problem,
    ) -> Result<(), BddlError> {
        let reader = &self.reader;
        let (section, location) = reader.list(item, "a section such as (:objects ...)")?;
        let Some(head) = section.first() else {
            return Err(reader.fail(location, "expected a section name, found `()`"));
        };
        let (head, head_location) = reader.atom(head, "a section name")?;
        let head = head.to_ascii_lowercase();
        let rest = &section[1..];
        if sections.seen.contains(&head) {
            return Err(reader.fail(head_location, format!("section `{head}` appears twice")));
        }
        match head.as_str() {
            "problem" => {
                problem.name = reader
                    .single(rest, location, "the problem name")?
                    .to_owned();
                problem.name_location = rest[0].location();
            }
            ":domain" => {
                let domain = reader.single(rest, location, "the domain name")?;
                if !domain.eq_ignore_ascii_case(DOMAIN) {
                    let message = format!("unknown domain `{domain}`, expected `{DOMAIN}`");
                    return Err(reader.fail(rest[0].location(), message));
                }
            }
            known if WITHOUT_EFFECT.contains(&known) => {}
            ":language" => {
                let words: Result<Vec<&str>, _> = (rest.iter())
                    .map(|w| reader.atom(w, "a word").map(|(w, _)| w))
                    .collect();
                problem.language = words?.join(" ");
            }
            ":regions" => {
                for item in rest {
                    sections.regions.push(region::parse(reader, item)?);
                }
            }
            ":fixtures" => problem.fixtures = self.object_decls(rest, &problem.objects)?,
            ":objects" => problem.objects = self.object_decls(rest, &problem.fixtures)?,
            ":obj_of_interest" => {
                for item in rest {
                    let (name, location) = reader.atom(item, "an object name")?;
                    let name = name.to_ascii_lowercase();
                    sections.obj_of_interest.push((name, location));
                }
            }
            ":init" => sections.init = rest,
            ":goal" => match rest {
                [goal] => sections.goal = Some(goal),
                _ => return Err(reader.fail(location, "expected one condition in (:goal ...)")),
            },
            _ => {
                let known = "problem, :domain, :requirements, :language, :regions, :fixtures, :objects, \
                             :obj_of_interest, :init, :goal";
                let message = format!("unknown section `{head}`; known: {known}");
                return Err(reader.fail(head_location, message));
            }
        }
        sections.seen.push(head);
        Ok(())
    }

    fn add_region(&self, located: LocatedRegion, problem: &mut Problem) -> Result<(), BddlError> {
        let LocatedRegion { region, location } = located;
        if !problem.declares(&region.target) {
            problem.dangling_regions.push(region.name);
            return Ok(());
        }
        if region.ranges.is_empty() && problem.is_support(&region.target) {
            let message = format!("region `{}` has no (:ranges ...)", region.name);
            return Err(self.reader.fail(location, message));
        }
        if let Some(colour) = region.visible_colour() {
            let message = format!(
                "region `{}` has the colour {colour:?}, in which LIBERO draws it; it is not drawn here",
                region.name
            );
            (problem.notices).push(self.reader.fail(location, message).to_string());
        }
        // LIBERO keeps the last region of a name.
        match problem.regions.iter_mut().find(|r| r.name == region.name) {
            None => problem.regions.push(region),
            Some(first) => {
                let message = format!("region `{}` is defined again; this one counts", region.name);
                (problem.notices).push(self.reader.fail(location, message).to_string());
                *first = region;
            }
        }
        Ok(())
    }

    /// `a b - category  c - category`
    fn object_decls(
        &self,
        items: &[Sexpr],
        others: &[ObjectDecl],
    ) -> Result<Vec<ObjectDecl>, BddlError> {
        let mut out: Vec<ObjectDecl> = Vec::new();
        let mut pending: Vec<(String, SourceLocation)> = Vec::new();
        let mut words = items.iter();
        while let Some(item) = words.next() {
            let (word, location) = self.reader.atom(item, "a name or `-`")?;
            if word != "-" {
                pending.push((word.to_ascii_lowercase(), location));
                continue;
            }
            let category = words
                .next()
                .ok_or_else(|| self.reader.fail(location, "expected a category after `-`"))?;
            let (category, category_location) = self.reader.atom(category, "a category")?;
            let category = category.to_ascii_lowercase();
            if out.iter().any(|earlier| earlier.category == category) {
                let message = format!(
                    "category `{category}` has a second list of names; LIBERO would forget the first"
                );
                return Err(self.reader.fail(category_location, message));
            }
            if pending.is_empty() {
                return Err(self.reader.fail(location, "expected a name before `-`"));
            }
            for (name, location) in std::mem::take(&mut pending) {
                if out.iter().chain(others).any(|t| t.name == name) {
                    return Err(self
                        .reader
                        .fail(location, format!("`{name}` is declared twice")));
                }
                out.push(ObjectDecl {
                    name,
                    category: category.clone(),
                });
            }
        }
        match pending.first() {
            Some((name, location)) => Err(self.reader.fail(
                *location,
                format!("`{name}` has no category (`{name} - CATEGORY`)"),
            )),
            None => Ok(out),
        }
    }

    /// A predicate of `:init`, which places something or sets joints.
    fn initial_predicate(
        &self,
        item: &Sexpr,
        problem: &Problem,
    ) -> Result<PredicateInstance, BddlError> {
        let instance = predicate_instance(&self.reader, item, problem)?;
        let predicate = instance.predicate;
        if predicate.is_placement() || predicate.is_of_joints() {
            return Ok(instance);
        }
        let message = format!(
            "`{}` in :init places nothing and sets no joint; On, In, Open, Close, TurnOn and TurnOff do",
            predicate.name()
        );
        Err(self.reader.fail(instance.location, message))
    }
}

/// A predicate whose names are declared.
pub(super) fn predicate_instance(
    reader: &SexprReader<'_>,
    item: &Sexpr,
    problem: &Problem,
) -> Result<PredicateInstance, BddlError> {
    let (items, location) = reader.list(item, "a predicate such as (On a b)")?;
    let Some(head) = items.first() else {
        return Err(reader.fail(location, "expected a predicate, found `()`"));
    };
    let (name, name_location) = reader.atom(head, "a predicate")?;
    let predicate = Predicate::from_name(name).ok_or_else(|| {
        let known = Predicate::ALL.map(Predicate::name).join(", ");
        reader.fail(
            name_location,
            format!("unknown predicate `{name}`; known: {known}"),
        )
    })?;
    let rest = &items[1..];
    if rest.len() != predicate.arity() {
        return Err(reader.fail(
            location,
            format!(
                "`{name}` takes {} argument(s), found {}",
                predicate.arity(),
                rest.len()
            ),
        ));
    }
    let mut args = Vec::new();
    for (i, item) in rest.iter().enumerate() {
        let (word, location) = reader.atom(item, "an object or region name")?;
        let word = word.to_ascii_lowercase();
        let region = problem.region(&word);
        let region_fits = i == 1 || predicate.arity() == 1;
        let known = problem.declares(&word) || (region.is_some() && region_fits);
        if !known {
            let message = if region.is_some() {
                format!("expected an object, found the region `{word}`")
            } else if problem.dangling_regions.contains(&word) {
                format!("region `{word}` targets an unknown object or fixture")
            } else {
                format!("unknown object or region `{word}`")
            };
            return Err(reader.fail(location, message));
        }
        args.push(word);
    }
    Ok(PredicateInstance {
        predicate,
        args,
        location,
    })
}
