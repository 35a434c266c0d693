//! One frame of our own `.tar.zst`, held against the index.

use crate::archive::index::{Holding, Index, Then};
use crate::error::Refusal;
use crate::format::tar::{self, Event, Parser};

/// Checks that `raw`, the frame of `part`, holds the members that the index
/// names, and has their contents where the index says; `start` is where the
/// frame begins in the tar.
pub(super) fn check(index: &Index, part: &Holding, start: u64, raw: &[u8]) -> Result<(), Refusal> {
    let differs = || Refusal::malformed("its index names other members than it holds");
    let begin = part.continued.map_or(0, |(member, offset)| {
        let stored = tar::stored_size(&index.members[member]);
        let end = stored.saturating_add(tar::padding(stored) as u64);
        let skipped = end.saturating_sub(offset);
        usize::try_from(skipped).map_or(raw.len(), |skipped| skipped.min(raw.len()))
    });
    let mut next = part.first;
    let mut is_first = false;
    let mut parser = Parser::new(tar::Options::default());
    parser.feed(&raw[begin..], &mut |event| match event {
        Event::Member(member) => {
            if next == part.first + part.count || index.members[next] != member {
                return Err(differs());
            }
            next += 1;
            is_first = true;
            Ok(())
        }
        Event::Data { bytes, .. } if is_first => {
            is_first = false;
            let at = start + (begin + bytes.start) as u64;
            match index.contents[next - 1] == at {
                true => Ok(()),
                false => Err(differs()),
            }
        }
        Event::Data { .. } | Event::Held { .. } | Event::MemberEnd => Ok(()),
    })?;
    // Whoever reads from the front is where the next frame is believed to begin.
    let fits = part.count == 0
        || match part.then {
            Then::Members(left) => parser.left() == Some(left),
            Then::End => true,
        };
    match next == part.first + part.count && fits {
        true => Ok(()),
        false => Err(differs()),
    }
}
