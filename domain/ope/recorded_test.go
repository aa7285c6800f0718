package ope_test

// recorded are the bits of TestRecordedBits.
var recorded = map[string]string{
	"R":              "0x1.47224e2c1852bp+06",
	"SE":             "0x1.1c3b282b21a29p+16",
	"SE_without_top": "0x1.1bcb3e15a7494p+16",
	"T":              "-0x1.08e67657f0575p+15",
	"T_without_top":  "-0x1.3b773269d0449p+15",
	"V_0":            "0x1.3b934ecb3ccfcp+32",
	"V_b":            "0x1.1e11a3c6778cfp+32",
	"V_cr":           "0x1.20d7a2d64e2edp+32",
	"W":              "0x1.a8p+08",
	"beta_00":        "0x1.b2fae4d210adbp+09",
	"beta_01":        "0x1.993a54bcc82dep-02",
	"observed":       "530331",
	"top":            "acct_0232",
	"top_psi":        "0x1.91ac0c7243711p+12",
}
