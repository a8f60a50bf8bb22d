//! Pair the layers of a layout with those of a file whose tensors have other names.

use super::{SafetensorsError, TensorNames};
use crate::{Layout, Role};
use std::collections::BTreeMap;

/// The tensors of a layer by the last part of their names, such as `weight` and `bias`, with their shapes.
type Group = BTreeMap<String, Vec<usize>>;

/// Names for every weight of `layout`, from the names and shapes in a file.
///
/// # Errors
/// When names leave a choice, or nothing fits.
pub(super) fn resolve(layout: &Layout, tensors: &BTreeMap<&str, &[usize]>) -> Result<TensorNames, SafetensorsError> {
    let weights = || layout.blocks().iter().filter(|block| matches!(block.role, Role::Weight | Role::Bias) && block.len() > 0);
    let names = TensorNames::own();
    if weights().count() == 0 || weights().all(|block| tensors.contains_key(block.name.as_str())) {
        return Ok(names);
    }
    let blocks = group(weights().map(|block| (block.name.as_str(), block.shape.as_slice())));
    // Noise scales and the like that the file has by their own names are no layers.
    let of_layers = tensors.iter().filter(|(name, _)| layout.block(name).is_none()).map(|(name, shape)| (*name, *shape));
    let mut found = group(of_layers);
    if blocks.len() != found.len() {
        let layers = |groups: &[(String, Group)]| groups.iter().map(|(prefix, _)| shown(prefix)).collect::<Vec<_>>().join(", ");
        let problem = format!(
            "the model has {} layers ({}) and the file {} ({})",
            blocks.len(),
            layers(&blocks),
            found.len(),
            layers(&found)
        );
        return Err(SafetensorsError::Ambiguous { problem });
    }
    if is_numbered(&found) {
        found.sort_by_key(|(prefix, _)| natural(prefix));
    } else {
        found = by_shape(&blocks, &found)?;
    }
    let mut paired = names;
    for ((block, parts), (prefix, tensors)) in blocks.iter().zip(&found) {
        for part in parts.keys() {
            if !tensors.contains_key(part) {
                let has = tensors.keys().cloned().collect::<Vec<_>>().join(", ");
                let problem = format!("layer {} of the file has {has}, and {} needs {part}", shown(prefix), shown(block));
                return Err(SafetensorsError::Ambiguous { problem });
            }
            paired = paired.with(join(block, part), join(prefix, part));
        }
    }
    Ok(paired)
}

/// Groups names by what stands before their last dot, in the order of their first appearance.
fn group<'a>(named: impl Iterator<Item = (&'a str, &'a [usize])>) -> Vec<(String, Group)> {
    let mut groups: Vec<(String, Group)> = Vec::new();
    for (name, shape) in named {
        let (prefix, part) = name.rsplit_once('.').unwrap_or(("", name));
        let index = groups.iter().position(|(known, _)| known == prefix).unwrap_or_else(|| {
            groups.push((prefix.to_owned(), Group::new()));
            groups.len() - 1
        });
        groups[index].1.insert(part.to_owned(), shape.to_vec());
    }
    groups
}

fn join(prefix: &str, part: &str) -> String {
    if prefix.is_empty() { part.to_owned() } else { format!("{prefix}.{part}") }
}

fn shown(prefix: &str) -> String {
    if prefix.is_empty() { "without a name".to_owned() } else { format!("'{prefix}'") }
}

/// A name as text and numbers in turns, so that `2` comes before `10`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts: Vec<(String, u64)> = vec![(String::new(), 0)];
    let mut in_number = false;
    for c in name.chars() {
        if in_number && !c.is_ascii_digit() {
            parts.push((String::new(), 0));
        }
        in_number = c.is_ascii_digit();
        let (text, number) = parts.last_mut().expect("there is always a part");
        match c.to_digit(10).filter(|_| in_number) {
            Some(digit) => *number = number.saturating_mul(10).saturating_add(digit.into()),
            None => text.push(c),
        }
    }
    parts
}

/// Whether names differ in a single number alone, which then is the layers' order.
fn is_numbered(groups: &[(String, Group)]) -> bool {
    let names: Vec<Vec<(String, u64)>> = groups.iter().map(|(prefix, _)| natural(prefix)).collect();
    let Some((first, rest)) = names.split_first() else { return false };
    let same_text = rest.iter().all(|name| name.len() == first.len() && name.iter().zip(first).all(|(a, b)| a.0 == b.0));
    let varies = |part: usize| rest.iter().any(|name| name[part].1 != first[part].1);
    same_text && (0..first.len()).filter(|&part| varies(part)).count() <= 1
}

/// The groups of the file in the order of the blocks, where each has one that alone has its shapes.
fn by_shape(blocks: &[(String, Group)], found: &[(String, Group)]) -> Result<Vec<(String, Group)>, SafetensorsError> {
    let mut ordered = Vec::with_capacity(blocks.len());
    for (block, shapes) in blocks {
        let fitting: Vec<&(String, Group)> = found.iter().filter(|(_, group)| group == shapes).collect();
        match fitting.as_slice() {
            [one] => ordered.push((*one).clone()),
            [] => {
                let problem = format!("no layer of the file has the shapes of {}: {}", shown(block), shapes_of(shapes));
                return Err(SafetensorsError::Ambiguous { problem });
            }
            several => {
                let names = several.iter().map(|(prefix, _)| shown(prefix)).collect::<Vec<_>>().join(" and ");
                let problem = format!("{names} both have the shapes of {}: {}", shown(block), shapes_of(shapes));
                return Err(SafetensorsError::Ambiguous { problem });
            }
        }
    }
    Ok(ordered)
}

fn shapes_of(group: &Group) -> String {
    group.iter().map(|(part, shape)| format!("{part} {shape:?}")).collect::<Vec<_>>().join(", ")
}
