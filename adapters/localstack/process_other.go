//go:build unix && !linux

package localstack

import "syscall"

func childAttributes(opts ProcessOptions) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if opts.RunAs != nil {
		attr.Credential = &syscall.Credential{Uid: opts.RunAs.UID, Gid: opts.RunAs.GID}
	}
	return attr
}

// guardChild stands in for the death signal that only Linux has. A child that
// watches its standard input needs no guard.
func guardChild(p *Process) (*guard, error) {
	if p.opts.WatchesStdin {
		return nil, nil
	}
	return newGuard(p.Pid(), p.opts.StopSignal)
}
