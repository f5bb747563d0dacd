//! What is known of each family of languages.

/// How a family is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Words, strings and comments.
    Words,
    /// Line by line, by the first letter.
    Lines,
    /// Tags and text.
    Tags,
}

/// A family, or a language of it with words of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Language {
    pub(super) shape: Shape,
    /// What begins a comment to the end of the line.
    pub(super) comments: &'static [&'static str],
    /// What begins and ends other comments.
    pub(super) blocks: &'static [(&'static str, &'static str)],
    pub(super) quotes: &'static str,
    pub(super) long_quotes: &'static [&'static str],
    /// A quote may end in another line than it began.
    pub(super) strings_over_lines: bool,
    /// `'` alone may begin something else than a string, as in Rust and Haskell.
    pub(super) lone_quotes: bool,
    /// What may begin a word: `$` of a variable, `@` of a rule.
    pub(super) sigils: &'static str,
    /// Words hold `-`.
    pub(super) dashes: bool,
    /// Words with a capital are types.
    pub(super) types: bool,
    /// What stands before `:` or `=` is a key.
    pub(super) keys: bool,
    /// What stands behind `(` is done.
    pub(super) heads: bool,
    pub(super) ignores_case: bool,
    pub(super) keywords: &'static [&'static str],
}

/// A set of bytes.
#[derive(Debug)]
pub(super) struct Openers([bool; 256]);

impl Openers {
    pub(super) fn contains(&self, first: u8) -> bool {
        self.0[usize::from(first)]
    }
}

impl Language {
    /// The language of a fenced block: the first word of what stands behind the fence.
    pub(super) fn find(info: &str) -> Option<&'static Self> {
        let info = info.trim_start_matches(|letter: char| "{. ".contains(letter));
        let end =
            info.find(|letter: char| !(letter.is_ascii_alphanumeric() || "+#-".contains(letter)));
        let name = &info[..end.unwrap_or(info.len())];
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let mut families = NAMES.iter();
        let found = families.find(|(names, _)| names.split(' ').any(is));
        found.map(|(_, language)| *language)
    }

    /// With which bytes a comment or a string may begin.
    pub(super) fn openers(&self) -> Openers {
        let mut openers = Openers([false; 256]);
        let blocks = self.blocks.iter().map(|(open, _)| open);
        let words = self.comments.iter().chain(blocks).chain(self.long_quotes);
        let firsts = words.filter_map(|word| word.bytes().next());
        for first in firsts.chain(self.quotes.bytes()) {
            openers.0[usize::from(first)] = true;
        }
        openers
    }
}

const WORDS: Language = Language {
    shape: Shape::Words,
    comments: &[],
    blocks: &[],
    quotes: "\"'",
    long_quotes: &[],
    strings_over_lines: false,
    lone_quotes: false,
    sigils: "",
    dashes: false,
    types: false,
    keys: false,
    heads: false,
    ignores_case: false,
    keywords: &[],
};

/// C and those that look like it.
const C_LIKE: Language = Language {
    comments: &["//"],
    blocks: &[("/*", "*/")],
    types: true,
    ..WORDS
};

#[rustfmt::skip]
static C: Language = Language {
    keywords: &[
        "alignas", "alignof", "auto", "bool", "break", "case", "catch", "char", "class",
        "co_await", "co_return", "concept", "const", "constexpr", "continue", "decltype",
        "default", "delete", "do", "double", "else", "enum", "explicit", "export", "extern",
        "false", "final", "float", "for", "friend", "goto", "if", "inline", "int", "long",
        "mutable", "namespace", "new", "noexcept", "nullptr", "operator", "override", "private",
        "protected", "public", "register", "requires", "restrict", "return", "short", "signed",
        "sizeof", "static", "static_assert", "struct", "switch", "template", "this", "throw",
        "true", "try", "typedef", "typename", "union", "unsigned", "using", "virtual", "void",
        "volatile", "while", "#define", "#elif", "#else", "#endif", "#if", "#ifdef", "#ifndef",
        "#include", "#pragma", "#undef",
    ],
    sigils: "#",
    ..C_LIKE
};

#[rustfmt::skip]
static RUST: Language = Language {
    lone_quotes: true,
    strings_over_lines: true,
    keywords: &[
        "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
        "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "macro_rules", "match",
        "mod", "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super",
        "trait", "true", "type", "union", "unsafe", "use", "where", "while", "yield",
    ],
    ..C_LIKE
};

#[rustfmt::skip]
static GO: Language = Language {
    quotes: "\"'`",
    keywords: &[
        "break", "case", "chan", "const", "continue", "default", "defer", "else", "fallthrough",
        "false", "for", "func", "go", "goto", "if", "import", "interface", "map", "nil",
        "package", "range", "return", "select", "struct", "switch", "true", "type", "var",
    ],
    ..C_LIKE
};

/// JavaScript and TypeScript.
#[rustfmt::skip]
static JS: Language = Language {
    quotes: "\"'`",
    keywords: &[
        "abstract", "any", "as", "async", "await", "boolean", "break", "case", "catch", "class",
        "const", "continue", "debugger", "declare", "default", "delete", "do", "else", "enum",
        "export", "extends", "false", "finally", "for", "from", "function", "get", "if",
        "implements", "import", "in", "instanceof", "interface", "keyof", "let", "namespace",
        "new", "null", "number", "of", "private", "protected", "public", "readonly", "return",
        "set", "static", "string", "super", "switch", "this", "throw", "true", "try", "type",
        "typeof", "undefined", "var", "void", "while", "with", "yield",
    ],
    ..C_LIKE
};

/// Java, C#, Kotlin, Swift, Scala, Dart, Groovy, Zig: one list, since words of one are rare in the others.
#[rustfmt::skip]
static JVM: Language = Language {
    sigils: "@",
    keywords: &[
        "abstract", "actor", "as", "assert", "async", "await", "base", "bool", "boolean", "break",
        "byte", "case", "catch", "char", "class", "companion", "const", "continue", "data",
        "decimal", "def", "default", "defer", "delegate", "do", "double", "else", "enum", "event",
        "export", "extends", "extension", "false", "final", "finally", "float", "fn", "for",
        "foreach", "fun", "func", "get", "given", "guard", "if", "implements", "implicit",
        "import", "in", "init", "inout", "instanceof", "int", "interface", "internal", "is",
        "late", "lateinit", "lazy", "let", "long", "match", "mixin", "namespace", "native", "new",
        "nil", "null", "object", "open", "operator", "out", "override", "package", "private",
        "protected", "protocol", "public", "readonly", "record", "ref", "required", "return",
        "sealed", "self", "set", "short", "static", "string", "struct", "super", "suspend",
        "switch", "synchronized", "this", "throw", "throws", "trait", "transient", "true", "try",
        "type", "typealias", "using", "val", "var", "virtual", "void", "volatile", "when",
        "where", "while", "with", "yield",
    ],
    long_quotes: &["\"\"\""],
    ..C_LIKE
};

#[rustfmt::skip]
static PHP: Language = Language {
    comments: &["//", "#"],
    sigils: "$",
    strings_over_lines: true,
    keywords: &[
        "abstract", "array", "as", "break", "case", "catch", "class", "const", "continue",
        "default", "do", "echo", "else", "elseif", "enum", "extends", "false", "final", "finally",
        "fn", "for", "foreach", "function", "global", "if", "implements", "include", "instanceof",
        "interface", "match", "namespace", "new", "null", "private", "protected", "public",
        "readonly", "require", "require_once", "return", "static", "switch", "this", "throw",
        "trait", "true", "try", "use", "var", "while", "yield",
    ],
    ..C_LIKE
};

#[rustfmt::skip]
static SHELL: Language = Language {
    comments: &["#"],
    quotes: "\"'`",
    strings_over_lines: true,
    sigils: "$",
    keywords: &[
        "alias", "break", "case", "cd", "continue", "do", "done", "echo", "elif", "else", "esac",
        "eval", "exec", "exit", "export", "fi", "for", "function", "if", "in", "local", "printf",
        "read", "readonly", "return", "set", "shift", "source", "sudo", "test", "then", "trap",
        "unset", "until", "while",
    ],
    ..WORDS
};

#[rustfmt::skip]
static PYTHON: Language = Language {
    comments: &["#"],
    long_quotes: &["\"\"\"", "'''"],
    sigils: "@",
    types: true,
    keywords: &[
        "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def",
        "del", "elif", "else", "except", "False", "finally", "for", "from", "global", "if",
        "import", "in", "is", "lambda", "match", "None", "nonlocal", "not", "or", "pass", "raise",
        "return", "self", "True", "try", "while", "with", "yield",
    ],
    ..WORDS
};

/// Ruby, Elixir, Julia, Perl, R: blocks that end with a word, or close to it.
#[rustfmt::skip]
static RUBY: Language = Language {
    comments: &["#"],
    long_quotes: &["\"\"\""],
    sigils: "@$",
    types: true,
    strings_over_lines: true,
    keywords: &[
        "alias", "and", "begin", "break", "case", "class", "cond", "def", "defmodule", "defp",
        "do", "else", "elseif", "elsif", "end", "ensure", "export", "false", "fn", "for",
        "foreach", "function", "if", "import", "in", "last", "library", "local", "macro",
        "module", "my", "next", "nil", "not", "or", "our", "package", "quote", "require",
        "rescue", "return", "self", "struct", "sub", "super", "then", "true", "undef", "unless",
        "until", "use", "using", "when", "where", "while", "yield", "NULL", "TRUE", "FALSE",
    ],
    ..WORDS
};

/// YAML, TOML, INI, Nix, Terraform.
#[rustfmt::skip]
static KEYS: Language = Language {
    comments: &["#"],
    long_quotes: &["\"\"\"", "'''"],
    dashes: true,
    keys: true,
    keywords: &[
        "true", "false", "null", "yes", "no", "on", "off",
    ],
    ..WORDS
};

#[rustfmt::skip]
static BUILD: Language = Language {
    comments: &["#"],
    sigils: "$",
    keywords: &[
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK",
        "LABEL", "RUN", "SHELL", "USER", "VOLUME", "WORKDIR", "else", "endif", "export", "ifdef",
        "ifeq", "ifndef", "ifneq", "include", "function", "if", "endfunction", "set", "foreach",
        "param", "return",
    ],
    ..WORDS
};

#[rustfmt::skip]
static SQL: Language = Language {
    comments: &["--"],
    blocks: &[("/*", "*/")],
    strings_over_lines: true,
    ignores_case: true,
    keywords: &[
        "add", "all", "alter", "and", "as", "asc", "begin", "between", "by", "case", "check",
        "column", "commit", "constraint", "create", "cross", "database", "default", "delete",
        "desc", "distinct", "drop", "else", "end", "except", "exists", "explain", "false",
        "foreign", "from", "full", "grant", "group", "having", "if", "in", "index", "inner",
        "insert", "intersect", "into", "is", "join", "key", "left", "like", "limit", "not",
        "null", "offset", "on", "or", "order", "outer", "over", "partition", "primary",
        "references", "returning", "right", "rollback", "select", "set", "table", "then",
        "transaction", "trigger", "true", "union", "unique", "update", "using", "values", "view",
        "when", "where", "with",
    ],
    ..WORDS
};

#[rustfmt::skip]
static CSS: Language = Language {
    comments: &["//"],
    blocks: &[("/*", "*/")],
    sigils: "@$",
    dashes: true,
    keys: true,
    keywords: &[
        "!important", "from", "to", "and", "not", "only",
    ],
    ..WORDS
};

#[rustfmt::skip]
static JSON: Language = Language {
    comments: &["//"],
    blocks: &[("/*", "*/")],
    quotes: "\"",
    keys: true,
    keywords: &[
        "true", "false", "null",
    ],
    ..WORDS
};

#[rustfmt::skip]
static LUA: Language = Language {
    comments: &["--"],
    blocks: &[("--[[", "]]")],
    long_quotes: &[],
    keywords: &[
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if",
        "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while",
    ],
    ..WORDS
};

#[rustfmt::skip]
static HASKELL: Language = Language {
    comments: &["--"],
    blocks: &[("{-", "-}"), ("(*", "*)")],
    lone_quotes: true,
    types: true,
    keywords: &[
        "and", "begin", "case", "class", "data", "deriving", "do", "else", "end", "exception",
        "forall", "fun", "function", "if", "import", "in", "infix", "infixl", "infixr",
        "instance", "let", "match", "module", "mutable", "newtype", "of", "open", "rec", "sig",
        "struct", "then", "try", "type", "val", "when", "where", "with",
    ],
    ..WORDS
};

#[rustfmt::skip]
static LISP: Language = Language {
    comments: &[";"],
    blocks: &[("#|", "|#")],
    quotes: "\"",
    dashes: true,
    heads: true,
    strings_over_lines: true,
    keywords: &[
        "nil", "t",
    ],
    ..WORDS
};

static ASSEMBLY: Language = Language {
    comments: &[";", "#", "//"],
    sigils: "%.",
    ..WORDS
};

static TEX: Language = Language {
    comments: &["%"],
    quotes: "",
    sigils: "\\",
    ..WORDS
};

static DIFF: Language = Language {
    shape: Shape::Lines,
    ..WORDS
};

static MARKUP: Language = Language {
    shape: Shape::Tags,
    ..WORDS
};

/// What stands behind fences, and what it is.
pub(super) static NAMES: [(&str, &Language); 21] = [
    ("c h cpp c++ cc hpp objc cuda glsl", &C),
    ("rust rs", &RUST),
    ("go golang", &GO),
    ("js javascript jsx mjs ts tsx typescript", &JS),
    (
        "java cs c# csharp kotlin kt swift scala dart groovy zig d",
        &JVM,
    ),
    ("php", &PHP),
    ("sh bash shell zsh fish ksh", &SHELL),
    ("python py python3 gdscript", &PYTHON),
    ("ruby rb elixir ex julia jl perl pl r crystal", &RUBY),
    (
        "yaml yml toml ini cfg conf nix hcl terraform properties",
        &KEYS,
    ),
    (
        "dockerfile docker make makefile cmake powershell ps1",
        &BUILD,
    ),
    ("sql", &SQL),
    ("css scss less", &CSS),
    ("json json5 jsonc", &JSON),
    ("lua", &LUA),
    ("haskell hs elm ocaml", &HASKELL),
    ("lisp scheme clojure racket", &LISP),
    ("asm", &ASSEMBLY),
    ("tex latex", &TEX),
    ("diff patch", &DIFF),
    ("html xml svg vue svelte xhtml rss", &MARKUP),
];
