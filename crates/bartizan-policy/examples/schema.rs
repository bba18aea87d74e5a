//! Prints the schema, for `schema/policy.schema.json`.

fn main() {
    print!("{}", bartizan_policy::schema());
}
