package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// Hash is the SHA-256 of a mapping aid. Nothing else of an address is ever stored, and
// only while the connection has chosen the aid.
type Hash [32]byte

// String is the hexadecimal form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 64 hexadecimal digits. An address in its place is refused without
// being repeated.
func ParseHash(field, text string) (Hash, error) {
	var h Hash
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.ContainsRune(text, '@') {
		return h, fault.InvalidField(field, "hash_is_address", "this is an e-mail address, not its hash").
			Fix("Send the SHA-256 of the trimmed, lower-cased address as 64 hexadecimal digits")
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, fault.InvalidField(field, "hash_malformed", "this is no SHA-256").Fix("Send 64 hexadecimal digits")
	}
	copy(h[:], raw)
	return h, nil
}

// EmailHash is the SHA-256 of the trimmed, lower-cased address; ok is false for text
// that is no address.
func EmailHash(email string) (h Hash, ok bool) {
	email = strings.ToLower(strings.TrimSpace(email))
	if _, ok := domainOf(email); !ok {
		return h, false
	}
	return sha256.Sum256([]byte(email)), true
}

// DomainHash is the SHA-256 of the lower-cased domain of an address; ok is false for
// text that is no address and for domains at which anybody can have a mailbox.
func DomainHash(email string) (h Hash, ok bool) {
	domain, ok := domainOf(strings.ToLower(strings.TrimSpace(email)))
	if !ok || PublicMail(domain) {
		return h, false
	}
	return sha256.Sum256([]byte(domain)), true
}

func domainOf(email string) (string, bool) {
	at := strings.LastIndexByte(email, '@')
	if at < 1 || strings.ContainsAny(email, " \t\r\n") {
		return "", false
	}
	domain := strings.TrimSuffix(email[at+1:], ".")
	return domain, validDomain(domain)
}

func validDomain(domain string) bool {
	return len(domain) <= 253 && strings.Contains(domain, ".") && !strings.Contains(domain, "..") &&
		!strings.HasPrefix(domain, ".") && !strings.ContainsAny(domain, "@/: \t\r\n\x00")
}

// ParseDomain checks a company's domain as an integrator uploads it.
func ParseDomain(field, text string) (Hash, error) {
	var h Hash
	domain := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), ".")
	if !validDomain(domain) {
		return h, fault.InvalidField(field, "domain_malformed", "this is no domain name").Fix("Send the part behind the @, for example acme.com")
	}
	if PublicMail(domain) {
		return h, fault.InvalidField(field, "domain_public", "%s is a public mail domain: it says nothing about a company", domain).
			Fix("Leave the domain of this user out")
	}
	return sha256.Sum256([]byte(domain)), nil
}

// PublicMail reports whether anybody can have a mailbox at the domain. The list is our
// own, of the large providers; a domain that is missing costs a wrong suggestion, which
// a person sees before anything rests on it.
func PublicMail(domain string) bool {
	if publicMail[domain] {
		return true
	}
	// Providers with one domain per country: yahoo.co.uk, hotmail.fr, gmx.net.
	name, _, _ := strings.Cut(domain, ".")
	return publicFamilies[name]
}

var publicFamilies = set("yahoo", "ymail", "rocketmail", "hotmail", "outlook", "live", "msn", "gmx", "yandex", "protonmail", "tutanota", "zohomail", "mailinator", "yopmail")

var publicMail = set(
	"gmail.com", "googlemail.com", "icloud.com", "me.com", "mac.com", "aol.com", "aim.com", "proton.me", "pm.me", "tuta.com", "tuta.io",
	"zoho.com", "zoho.eu", "fastmail.com", "fastmail.fm", "hey.com", "hushmail.com", "mail.com", "email.com", "usa.com", "inbox.com", "mailfence.com", "posteo.de", "mailbox.org",
	"web.de", "t-online.de", "freenet.de", "arcor.de", "1und1.de", "online.de", "bluewin.ch", "hispeed.ch", "sunrise.ch", "aon.at", "chello.at", "a1.net",
	"orange.fr", "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net", "neuf.fr", "bbox.fr", "libero.it", "virgilio.it", "alice.it", "tin.it", "tiscali.it", "telefonica.net", "terra.es",
	"ziggo.nl", "kpnmail.nl", "planet.nl", "xs4all.nl", "home.nl", "telenet.be", "skynet.be", "proximus.be", "telia.com", "comhem.se", "online.no", "tdc.dk", "mail.dk",
	"wp.pl", "o2.pl", "onet.pl", "interia.pl", "seznam.cz", "centrum.cz", "azet.sk", "abv.bg", "freemail.hu", "citromail.hu", "mail.ru", "bk.ru", "list.ru", "inbox.ru", "rambler.ru", "ukr.net",
	"btinternet.com", "sky.com", "virginmedia.com", "ntlworld.com", "talktalk.net", "blueyonder.co.uk", "eircom.net",
	"comcast.net", "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net", "juno.com", "optonline.net", "frontier.com", "windstream.net",
	"rogers.com", "shaw.ca", "bell.net", "sympatico.ca", "telus.net", "videotron.ca", "bigpond.com", "optusnet.com.au", "iinet.net.au", "xtra.co.nz",
	"uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br", "globo.com", "r7.com", "prodigy.net.mx", "rediffmail.com", "sify.com",
	"qq.com", "foxmail.com", "163.com", "126.com", "yeah.net", "sina.com", "sina.cn", "sohu.com", "139.com", "189.cn", "aliyun.com", "naver.com", "daum.net", "hanmail.net", "nate.com", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp",
	"guerrillamail.com", "10minutemail.com", "temp-mail.org", "trashmail.com", "duck.com", "privaterelay.appleid.com", "users.noreply.github.com",
)

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// Candidates are the users that share an aid with a customer.
type Candidates struct {
	// Users counts them; User is one of them, and means something when it is the only one.
	Users int
	User  string
}

// Suggest names the one user that the aids point at. An address is closer than a
// domain; whatever points at several users points at nobody.
func Suggest(email, domain Candidates) (user string, by Source, ok bool) {
	switch {
	case email.Users == 1:
		return email.User, Email, true
	case email.Users == 0 && domain.Users == 1:
		return domain.User, Domain, true
	}
	return "", "", false
}
