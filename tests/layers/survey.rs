//! The files under `src/`, and what each of them says, but for its tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// One file of the crate.
pub(crate) struct Source {
    /// From `src/`.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Where it stands: `["copy", "data"]`.
    pub(crate) module: Vec<String>,
}

impl Source {
    /// The module in the crate's root that it belongs to.
    pub(crate) fn top(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        let parsed = syn::parse_file(&self.text);
        let file = parsed.unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        file.items
    }

    pub(crate) fn is_in_sys(&self) -> bool {
        self.top() == "sys"
    }
}

pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.path().extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        // Tests that are too many for the end of a file.
        let path = entry.path().strip_prefix(&root).unwrap().to_owned();
        if entry.file_name() == "tests.rs" || path.iter().any(|part| part == "tests") {
            continue;
        }
        let parts = path.with_extension("");
        let mut module: Vec<_> = parts
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module
            .last()
            .is_some_and(|last| last == "mod" || last == "lib")
        {
            module.pop();
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        sources.push(Source { path, text, module });
    }
    assert!(sources.len() > 10, "no source found");
    sources
}

/// Whether `attribute` is a `cfg` whose condition has one of `words` in it.
pub(crate) fn is_cfg_of(attribute: &Attribute, words: &[&str]) -> bool {
    let is_cfg = attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr");
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    is_cfg && has_word(&list.tokens.to_string(), words)
}

pub(crate) fn has_word(text: &str, words: &[&str]) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| words.contains(&word))
}

pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |one: &Attribute| one.path().is_ident("test") || is_cfg_of(one, &["test"]);
    attributes.iter().any(is_test)
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// What one file says, but for its tests.
pub(crate) struct Survey {
    /// Where the code stands that is visited.
    pub(crate) module: Vec<String>,
    /// The first names of paths from the crate's root.
    pub(crate) imports: BTreeSet<String>,
    pub(crate) os_cfgs: usize,
    pub(crate) unsafes: usize,
    /// Calls and macros that a library doesn't use.
    pub(crate) banned: Vec<String>,
}

impl Survey {
    pub(crate) fn of(source: &Source) -> Self {
        let mut survey = Self {
            module: source.module.clone(),
            imports: BTreeSet::new(),
            os_cfgs: 0,
            unsafes: 0,
            banned: Vec::new(),
        };
        for item in &source.items() {
            survey.visit_item(item);
        }
        survey
    }

    /// Notes a path if it begins at the crate's root or above this module.
    fn note(&mut self, path: &[String]) {
        let mut at = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                at.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
            }
            _ => return,
        }
        at.extend(rest.iter().cloned());
        let first = at.first().cloned().unwrap_or_else(|| "lib".to_owned());
        self.imports.insert(first);
    }

    fn note_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.note_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.note(&with(&name.ident)),
            UseTree::Rename(name) => self.note(&with(&name.ident)),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(before, tree);
                }
            }
        }
    }

    /// Looks through tokens that aren't parsed: the arguments of macros.
    fn note_tokens(&mut self, tokens: &str) {
        let words: Vec<_> = tokens
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            if pair[0] == "crate" || pair[0] == "super" {
                self.note(&[pair[0].to_owned(), pair[1].to_owned()]);
            }
        }
        if tokens.replace(' ', "").contains(".unwrap()") {
            self.banned.push("unwrap in a macro".to_owned());
        }
    }
}

pub(crate) const OS: &[&str] = &[
    "unix",
    "windows",
    "target_os",
    "target_family",
    "target_vendor",
];

impl<'a> Visit<'a> for Survey {
    fn visit_item(&mut self, item: &'a Item) {
        if is_test(attributes(item)) {
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_signature(&mut self, signature: &'a syn::Signature) {
        self.unsafes += usize::from(matches!(signature.safety, syn::Safety::Unsafe(_)));
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        self.unsafes += usize::from(item.unsafety.is_some());
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_unsafe(&mut self, expression: &'a syn::ExprUnsafe) {
        self.unsafes += 1;
        visit::visit_expr_unsafe(self, expression);
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.note_tree(&[], &item.tree);
        visit::visit_item_use(self, item);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|one| one.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'a syn::Visibility) {
        // `pub(crate)` and `pub(super)` import nothing.
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        self.os_cfgs += usize::from(is_cfg_of(attribute, OS));
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        if call.method == "unwrap" {
            self.banned.push("unwrap".to_owned());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        let name = called.path.segments.last().unwrap().ident.to_string();
        let tokens = called.tokens.to_string();
        if ["println", "eprintln", "print", "eprint", "dbg", "todo"].contains(&name.as_str()) {
            self.banned.push(format!("{name}!"));
        }
        self.os_cfgs += usize::from(name == "cfg" && has_word(&tokens, OS));
        self.note_tokens(&tokens);
    }
}

/// The lines of a file before its tests.
pub(crate) fn lines_without_tests(source: &Source) -> Vec<&str> {
    let lines = source.text.lines();
    lines.take_while(|line| *line != "#[cfg(test)]").collect()
}

/// The functions of formatted code: name and lines, by the brace that closes them.
pub(crate) fn functions<'s>(lines: &[&'s str]) -> Vec<(&'s str, usize)> {
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let words: Vec<_> = code.split(' ').take(5).collect();
        let is_modifier =
            |word: &&str| word.starts_with("pub") || matches!(*word, "const" | "unsafe" | "async");
        let begins = words.iter().find(|word| !is_modifier(word)) == Some(&"fn");
        let is_whole = code.ends_with('}') || code.ends_with(';');
        if !begins || is_whole {
            continue;
        }
        let ends = |line: &&str| {
            let rest = line.strip_prefix(indent).unwrap_or_default();
            rest == "}" || (rest.starts_with(')') && rest.ends_with(';'))
        };
        let length = lines[first..].iter().position(ends).unwrap() + 1;
        found.push((code, length));
    }
    found
}
