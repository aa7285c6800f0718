//go:build !unix

package main

import "context"

// lockFile has no portable form: elsewhere the fixed ports keep two servers
// from one database.
func lockFile(context.Context, string) (release func(), err error) {
	return func() {}, nil
}
