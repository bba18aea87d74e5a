use std::fmt::{self, Display};

/// The layers of a stack, a line each.
pub(crate) struct Table {
    title: String,
    rows: Vec<(&'static str, String)>,
}

impl Table {
    pub(crate) fn new(stack: &str, name: Option<&str>) -> Self {
        let title = match name {
            Some(name) => format!("{stack} \"{name}\", outside in"),
            None => format!("{stack}, outside in"),
        };
        Self { title, rows: Vec::new() }
    }

    pub(crate) fn row(mut self, layer: &'static str, value: impl Display) -> Self {
        self.rows.push((layer, value.to_string()));
        self
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        let width = self.rows.iter().map(|(layer, _)| layer.len()).max().unwrap_or_default();
        self.rows.iter().try_for_each(|(layer, value)| write!(f, "\n  {layer:width$}  {value}"))
    }
}
