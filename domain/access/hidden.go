package access

import "github.com/liftbill/liftbill/domain/fault"

// Hidden is the answer for an object that does not exist, and for one that lies out
// of the caller's scope: the same, so that the two cannot be told apart.
func Hidden(what What, id string) error {
	switch what {
	case Readout:
		return fault.New(fault.NotFound, "readout_not_found", "there is no readout with the case ID %q", id)
	case WholeInstallation, Filtered, Checked:
		return fault.New(fault.NotFound, "not_found", "there is nothing here")
	case Account, Connection, Cycle:
		fallthrough
	default:
		return fault.New(fault.NotFound, string(what)+"_not_found", "there is no %s %q", what, id)
	}
}
