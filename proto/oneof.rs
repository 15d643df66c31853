//! Two members of one oneof in a message: what the API refuses, and what generated code would pass over, keeping the last one.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Violation;

/// The fields of a message that matter here: members of oneofs, and messages with oneofs in them.
struct Shape {
    name: &'static str,
    fields: &'static [Field],
}

struct Field {
    number: u32,
    name: &'static str,
    repeated: bool,
    /// Which of the message's oneofs it is a member of.
    oneof: Option<usize>,
    /// Which of [`SHAPES`] it holds.
    message: Option<usize>,
}

// SHAPES, by name upwards; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// More oneofs than any message of the API has.
const MAX_ONEOFS: usize = 8;

/// Looks through the encoded message of that name.
///
/// # Errors
/// A [`Violation`] of the second member of a oneof, such as `messages[2].address.unix`. What is no message at all is not this
/// function's to say.
pub(crate) fn check(name: &str, bytes: &[u8]) -> Result<(), Violation> {
    match SHAPES.binary_search_by(|shape| shape.name.cmp(name)) {
        Ok(at) => walk(&SHAPES[at], bytes),
        Err(_no_oneof_in_it) => Ok(()),
    }
}

fn walk(shape: &Shape, bytes: &[u8]) -> Result<(), Violation> {
    // The member of each oneof that was there first.
    let mut members: [Option<&Field>; MAX_ONEOFS] = [None; MAX_ONEOFS];
    let mut rest = bytes;
    while let Some((number, contents)) = next(&mut rest) {
        let Some(field) = shape.fields.iter().find(|field| field.number == number) else {
            continue;
        };
        if let Some(member) = field.oneof.and_then(|oneof| members.get_mut(oneof)) {
            let first = member.get_or_insert(field);
            if first.number != number {
                return Err(Violation::new(
                    field.name,
                    format!("only one of {} and {} can be given", first.name, field.name),
                ));
            }
        }
        if let Some(inner) = field.message {
            walk(&SHAPES[inner], contents).map_err(|violation| {
                violation.within(&if field.repeated {
                    let before = &bytes[..bytes.len() - rest.len()];
                    format!("{}[{}]", field.name, count(number, before) - 1)
                } else {
                    field.name.to_owned()
                })
            })?;
        }
    }
    Ok(())
}

/// The next field's number, and its contents if it has a length; none at the end, and where the encoding is broken.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    if rest.is_empty() {
        return None;
    }
    // Nearly every key and most lengths are one byte.
    let (number, wire) = match **rest {
        [key @ 0x08..0x80, ..] => {
            *rest = &rest[1..];
            (
                u32::from(key >> 3),
                WireType::try_from(u64::from(key & 7)).ok()?,
            )
        }
        _ => decode_key(rest).ok()?,
    };
    if wire == WireType::LengthDelimited {
        let length = match **rest {
            [length @ ..0x80, ..] => {
                *rest = &rest[1..];
                usize::from(length)
            }
            _ => usize::try_from(decode_varint(rest).ok()?).ok()?,
        };
        let (contents, after) = rest.split_at_checked(length)?;
        *rest = after;
        Some((number, contents))
    } else {
        skip_field(wire, number, rest, DecodeContext::default()).ok()?;
        Some((number, &[]))
    }
}

/// How often a field is there.
fn count(number: u32, mut bytes: &[u8]) -> usize {
    std::iter::from_fn(|| next(&mut bytes))
        .filter(|(found, _)| *found == number)
        .count()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1::{self, address::Form};

    fn address(form: Form) -> Vec<u8> {
        v1::Address { form: Some(form) }.encode_to_vec()
    }

    fn both() -> Vec<u8> {
        let unspecified = Form::Unspecified(v1::UnspecifiedAddress {});
        [
            address(Form::Text("unix:".to_owned())),
            address(unspecified),
        ]
        .concat()
    }

    fn field(number: u8, contents: &[u8]) -> Vec<u8> {
        let length = u8::try_from(contents.len()).expect("short messages");
        [&[number << 3 | 2, length], contents].concat()
    }

    #[test]
    fn shapes_stand_in_order_and_have_few_oneofs() {
        assert!(SHAPES.is_sorted_by_key(|shape| shape.name));
        assert!(check("BindRequest", &[]).is_ok());
        let oneofs = SHAPES
            .iter()
            .flat_map(|shape| shape.fields)
            .filter_map(|field| field.oneof);
        assert!(oneofs.max().is_some_and(|most| most < MAX_ONEOFS));
    }

    #[test]
    fn the_second_member_is_named_wherever_it_is() {
        let bind = field(2, &both());
        let violation = check("BindRequest", &bind).expect_err("two forms");
        assert_eq!(violation.field, "address.unspecified");
        assert_eq!(
            violation.description,
            "only one of text and unspecified can be given"
        );

        let message = |address: &[u8]| field(2, &field(3, address));
        let one = address(Form::Text("unix:".to_owned()));
        let messages = [&one, &one, &both(), &one]
            .map(|address| message(address))
            .concat();
        let violation = check("SendMessagesRequest", &messages).expect_err("two forms");
        assert_eq!(violation.field, "messages[2].address.unspecified");
    }

    #[test]
    fn one_member_several_times_and_members_of_different_oneofs_are_all_right() {
        let one = address(Form::Text("unix:".to_owned()));
        assert_eq!(check("Address", &[one.clone(), one].concat()), Ok(()));
        // domain, type and protocol of CreateSocketRequest.
        assert_eq!(
            check("CreateSocketRequest", &[0x08, 2, 0x18, 1, 0x28, 2]),
            Ok(())
        );
    }

    #[test]
    fn broken_and_unknown_messages_are_not_judged() {
        for bytes in [
            &[0x0a][..],
            &[0x0a, 200, 1],
            &[0xff; 20],
            &[0x0b, 0x0b],
            &[0, 0],
        ] {
            assert_eq!(check("Address", bytes), Ok(()));
        }
        assert_eq!(check("NoSuchMessage", &both()), Ok(()));
    }
}
