package mapping_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/mapping"
)

func TestHashesOfAnAddress(t *testing.T) {
	t.Parallel()
	h, ok := mapping.EmailHash("  Jo.Doe@Acme.COM ")
	require.True(t, ok)
	require.Equal(t, mapping.Hash(sha256.Sum256([]byte("jo.doe@acme.com"))), h)
	d, ok := mapping.DomainHash("Jo.Doe@Acme.COM")
	require.True(t, ok)
	require.Equal(t, mapping.Hash(sha256.Sum256([]byte("acme.com"))), d)
	parsed, err := mapping.ParseDomain("domain", " ACME.com. ")
	require.NoError(t, err)
	require.Equal(t, d, parsed, "both sides hash alike")
	back, err := mapping.ParseHash("email_sha256", " "+h.String()+" ")
	require.NoError(t, err)
	require.Equal(t, h, back)
	for _, text := range []string{"", "acme.com", "@acme.com", "jo@", "jo@acme", "jo doe@acme.com", "jo@acme..com", "jo@.com"} {
		_, ok := mapping.EmailHash(text)
		require.False(t, ok, text)
		_, ok = mapping.DomainHash(text)
		require.False(t, ok, text)
	}
}

// A public mail domain never points at a company.
func TestPublicMailDomains(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{"gmail.com", "googlemail.com", "yahoo.co.uk", "hotmail.fr", "outlook.com", "live.nl", "gmx.net", "web.de", "icloud.com", "proton.me", "qq.com", "privaterelay.appleid.com"} {
		require.True(t, mapping.PublicMail(domain), domain)
		_, ok := mapping.DomainHash("someone@" + domain)
		require.False(t, ok, domain)
		_, ok = mapping.EmailHash("someone@" + domain)
		require.True(t, ok, "the whole address still is one person's")
		_, err := mapping.ParseDomain("domain", domain)
		require.Equal(t, "domain_public", fault.CodeOf(err))
	}
	for _, domain := range []string{"acme.com", "yahooligans.example", "mygmail.com", "living.org"} {
		require.False(t, mapping.PublicMail(domain), domain)
	}
}

func TestUploadedAidsAreChecked(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]string{"jo@acme.com": "hash_is_address", "abc": "hash_malformed", "": "hash_malformed", "zz": "hash_malformed"} {
		_, err := mapping.ParseHash("email_sha256", text)
		require.Equal(t, code, fault.CodeOf(err), text)
		require.NotContains(t, err.Error(), "acme", "an address is not repeated")
	}
	for _, text := range []string{"", "acme", "jo@acme.com", "https://acme.com", "a..b"} {
		_, err := mapping.ParseDomain("domain", text)
		require.Equal(t, "domain_malformed", fault.CodeOf(err), text)
	}
	user, err := mapping.CheckUserID("user_id", "  u-1 ")
	require.NoError(t, err)
	require.Equal(t, "u-1", user)
	for _, text := range []string{"", "  ", "a\x00b"} {
		_, err := mapping.CheckUserID("user_id", text)
		require.Error(t, err)
	}
}

// Whatever points at several users points at nobody; an address is closer than a domain.
func TestSuggest(t *testing.T) {
	t.Parallel()
	type c = mapping.Candidates
	for _, tc := range []struct {
		email, domain c
		user          string
		by            mapping.Source
	}{
		{c{}, c{}, "", ""},
		{c{1, "a"}, c{}, "a", mapping.Email},
		{c{1, "a"}, c{1, "b"}, "a", mapping.Email},
		{c{1, "a"}, c{9, "b"}, "a", mapping.Email},
		{c{2, "a"}, c{1, "b"}, "", ""},
		{c{}, c{1, "b"}, "b", mapping.Domain},
		{c{}, c{2, "b"}, "", ""},
	} {
		user, by, ok := mapping.Suggest(tc.email, tc.domain)
		require.Equal(t, tc.user != "", ok)
		require.Equal(t, tc.user, user)
		require.Equal(t, tc.by, by)
	}
}

func TestParseSource(t *testing.T) {
	t.Parallel()
	for _, s := range []mapping.Source{mapping.Metadata, mapping.Email, mapping.Domain, mapping.Manual} {
		got, err := mapping.ParseSource(string(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
		require.Equal(t, s != mapping.Metadata, s.ByPerson())
	}
	_, err := mapping.ParseSource("guess")
	require.Equal(t, "source_unknown", fault.CodeOf(err))
}
