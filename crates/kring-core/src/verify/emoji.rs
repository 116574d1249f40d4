//! Sixty-four emoji that look unlike each other and have one short name each.

use std::fmt;

/// A picture and how it is called, for those who read a code out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Emoji {
    /// One character, shown as a picture wherever emoji are.
    pub symbol: char,
    /// Its English name.
    pub name: &'static str,
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.symbol, self.name)
    }
}

const fn emoji(symbol: char, name: &'static str) -> Emoji {
    Emoji { symbol, name }
}

/// Part of the protocol: an entry keeps its place.
pub(super) const EMOJI: [Emoji; 64] = [
    emoji('🐻', "bear"),
    emoji('🐝', "bee"),
    emoji('🐫', "camel"),
    emoji('🐈', "cat"),
    emoji('🐄', "cow"),
    emoji('🦆', "duck"),
    emoji('🐘', "elephant"),
    emoji('🦊', "fox"),
    emoji('🐸', "frog"),
    emoji('🐴', "horse"),
    emoji('🦁', "lion"),
    emoji('🐒', "monkey"),
    emoji('🦉', "owl"),
    emoji('🐧', "penguin"),
    emoji('🐌', "snail"),
    emoji('🐢', "turtle"),
    emoji('🍎', "apple"),
    emoji('🍌', "banana"),
    emoji('🍞', "bread"),
    emoji('🌵', "cactus"),
    emoji('🎂', "cake"),
    emoji('🥕', "carrot"),
    emoji('🧀', "cheese"),
    emoji('🍒', "cherries"),
    emoji('🥚', "egg"),
    emoji('🍇', "grapes"),
    emoji('🍋', "lemon"),
    emoji('🍄', "mushroom"),
    emoji('🍕', "pizza"),
    emoji('🌹', "rose"),
    emoji('🍓', "strawberry"),
    emoji('🌲', "tree"),
    emoji('⚓', "anchor"),
    emoji('🎈', "balloon"),
    emoji('🔔', "bell"),
    emoji('🚲', "bicycle"),
    emoji('⛵', "boat"),
    emoji('📖', "book"),
    emoji('👢', "boot"),
    emoji('📷', "camera"),
    emoji('🚗', "car"),
    emoji('🏰', "castle"),
    emoji('⏰', "clock"),
    emoji('👑', "crown"),
    emoji('🎲', "dice"),
    emoji('🥁', "drum"),
    emoji('🔥', "fire"),
    emoji('🎁', "gift"),
    emoji('🎸', "guitar"),
    emoji('🔨', "hammer"),
    emoji('🎩', "hat"),
    emoji('🏠', "house"),
    emoji('🔑', "key"),
    emoji('💡', "lamp"),
    emoji('🔒', "lock"),
    emoji('🌙', "moon"),
    emoji('🌈', "rainbow"),
    emoji('💍', "ring"),
    emoji('🚀', "rocket"),
    emoji('👕', "shirt"),
    emoji('⭐', "star"),
    emoji('🚂', "train"),
    emoji('🏆', "trophy"),
    emoji('☔', "umbrella"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn they_stand_in_the_paper_in_this_order() {
        let paper = include_str!("../../../../docs/protocol.md");
        let (_, list) = paper.split_once("## Appendix E.").expect("the appendix with the list");
        let mut rest = list;
        for emoji in &EMOJI {
            let (before, after) = rest.split_once(&format!("{emoji} |")).expect("each of them");
            // Nothing stands between two of them but the table.
            assert!(rest.len() == list.len() || before.len() < 10, "{before:?} before {emoji}");
            rest = after;
        }
    }

    #[test]
    fn no_two_have_a_picture_or_a_name_in_common() {
        assert_eq!(EMOJI.iter().map(|e| e.symbol).collect::<HashSet<_>>().len(), 64);
        assert_eq!(EMOJI.iter().map(|e| e.name).collect::<HashSet<_>>().len(), 64);
    }
}
