package projection

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxText is the longest free text that is kept, in characters.
const maxText = 500

var (
	mailPattern = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)
	// A telephone, card or account number: nine digits or more, however they are grouped.
	digitsPattern = regexp.MustCompile(`\+?\d(?:[ ().\-/]{0,2}\d){8,}`)
)

// Clean takes out of a free text what looks like an e-mail address or like a number of a
// person (telephone, card, bank account), and cuts what is very long.
func Clean(s string) string {
	if strings.ContainsRune(s, '@') {
		s = mailPattern.ReplaceAllString(s, "[e-mail]")
	}
	if digits(s) >= 9 {
		s = digitsPattern.ReplaceAllString(s, "[number]")
	}
	if utf8.RuneCountInString(s) > maxText {
		s = string([]rune(s)[:maxText])
	}
	return s
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}
