// Package secret is the port to the secret box: what is sealed can be opened
// only with the key that the deployment holds.
package secret

// Box seals and opens secrets. The context string binds a ciphertext to its
// place (for example "connection:acme"), so that it can't be moved elsewhere.
type Box interface {
	Seal(context string, plaintext []byte) ([]byte, error)
	Open(context string, sealed []byte) ([]byte, error)
}
