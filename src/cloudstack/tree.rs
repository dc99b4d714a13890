//! Pure: an answer of CloudStack as a tree that reads the same from XML and from JSON.
//!
//! CloudStack's XML repeats an element for a list and its JSON has an array; both become several
//! children of one name. Readers are in `envelope.rs`; this file is only the shape.

/// One element: its name, its text (leaf), its children in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Node {
    /// Element or field name as CloudStack writes it (lower case but for a few).
    pub name: String,
    /// Text of a leaf; empty where there are children.
    pub text: String,
    /// Elements inside, in order; a list's items all carry the list's name.
    pub children: Vec<Node>,
}

impl Node {
    /// A leaf.
    #[must_use]
    pub fn leaf(name: &str, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            children: Vec::new(),
        }
    }
    /// The first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
    /// Every child of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
    /// The text of the first child of that name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
    /// The number in the first child of that name, where it is one.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<i64> {
        self.text_of(name)?.parse().ok()
    }
    /// The tree of a JSON value: an object's fields become children, an array's items become
    /// children of the array's own name, `null` is left out.
    #[must_use]
    pub fn from_json(name: &str, value: &serde_json::Value) -> Self {
        let mut node = Self::leaf(name, "");
        match value {
            serde_json::Value::Object(fields) => {
                for (field, inner) in fields {
                    match inner {
                        serde_json::Value::Null => {}
                        serde_json::Value::Array(items) => node
                            .children
                            .extend(items.iter().map(|item| Self::from_json(field, item))),
                        _ => node.children.push(Self::from_json(field, inner)),
                    }
                }
            }
            serde_json::Value::Array(items) => {
                node.children
                    .extend(items.iter().map(|item| Self::from_json(name, item)));
            }
            serde_json::Value::String(text) => node.text.clone_from(text),
            serde_json::Value::Null => {}
            other => node.text = other.to_string(),
        }
        node
    }
}
