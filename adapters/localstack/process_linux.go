package localstack

import "syscall"

// childAttributes lets the kernel send the stop signal when the thread that
// created the child ends, that is when this process ends, even by SIGKILL.
func childAttributes(opts ProcessOptions) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: opts.StopSignal}
	if opts.RunAs != nil {
		attr.Credential = &syscall.Credential{Uid: opts.RunAs.UID, Gid: opts.RunAs.GID}
	}
	return attr
}

// guardChild has nothing to do: the kernel guards the child.
func guardChild(*Process) (*guard, error) { return nil, nil }
