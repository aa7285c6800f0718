package mutants

// following are the mutants of projections and of polling.
var following = []Mutant{
	{
		Bug: 11, Name: "what is delivered last counts", File: "domain/projection/object.go",
		Old: "	case order < 0:\n		return false\n	case order > 0:\n", New: "	case order != 0:\n",
		Test: "domain/projection:TestBug11CreatedAfterUpdated",
	},
	{
		Bug: 11, Name: "the announcement of an object is a version like others", File: "domain/projection/object.go",
		Old: "	case s.Later == o.Later:\n		return 0\n	case s.Later:\n		return 1\n	default:\n		return -1\n	}\n", New: "	default:\n		return 0\n	}\n",
		Test: "domain/projection:TestBug11CreatedAfterUpdated",
	},
	{
		Bug: 12, Name: "the newest version counts, whatever has ended", File: "domain/projection/object.go",
		Old: "	case s.Rank != o.Rank:\n		return cmp.Compare(s.Rank, o.Rank)\n", New: "",
		Test: "domain/projection:TestBug12ALateUpdateRevivesNothing",
	},
	{
		Bug: 13, Name: "the second version of a second is dropped", File: "domain/projection/object.go",
		Old: "	case order < 0:\n", New: "	case order < 0, order == 0 && len(o.Versions) > 0:\n",
		Test: "domain/projection:TestPreviousAttributesOrderASecond",
	},
	{
		Bug: 13, Name: "the database keeps the first version of a second", File: "adapters/postgres/projections.go",
		Old: "if !o.Join(objects[key]) {", New: "if o.Stamp == objects[key].Stamp || !o.Join(objects[key]) {",
		Test: "adapters/postgres:TestEveryOrderOfALifeIsBookedTheSame",
	},
	{
		Bug: 34, Name: "a window begins after the last one", File: "domain/source/state.go",
		Old: "from := earlier(s.HighWater.Add(-Overlap), to.Add(-reach[t]))", New: "from := s.HighWater.Add(time.Second)",
		Test: "app/sourcesync:TestBug34EventsAtTheEdgeOfAWindow",
	},
	{
		Bug: 34, Name: "the high-water mark moves with every page", File: "app/sourcesync/sync.go",
		Old: "	if last {\n		mark = end\n	}\n", New: "	mark = end\n",
		Test: "app/sourcesync:TestAWindowThatBreaksOffIsReadAgain",
	},
}
