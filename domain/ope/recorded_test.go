package ope_test

// recorded are the bits of TestRecordedBits: units with a probability that all share.
var recorded = map[string]string{
	"R":              "0x1.47224e2c18529p+06",
	"SE":             "0x1.1c3b282b21a28p+16",
	"SE_without_top": "0x1.1bcb3e15a7495p+16",
	"T":              "-0x1.08e67657f0573p+15",
	"T_without_top":  "-0x1.3b773269d0443p+15",
	"V_0":            "0x1.3b934ecb3ccf8p+32",
	"V_b":            "0x1.1e11a3c6778cep+32",
	"V_cr":           "0x1.20d7a2d64e2ecp+32",
	"W":              "0x1.a8p+08",
	"beta_00":        "0x1.5a64aed730dcfp+10",
	"beta_01":        "0x1.993a54bcc82ddp-02",
	"ESS":            "0x1.a8p+06",
	"cal_z":          "0x1.62b9586ad0a21p-01",
	"srm_z":          "0x1.62b9586ad0a21p-01",
	"observed":       "530331",
	"top":            "acct_0232",
	"top_psi":        "0x1.91ac0c724370fp+12",
}

// recordedOwn are those of the same units with probabilities of their own.
var recordedOwn = map[string]string{
	"ESS":            "0x1.a0f8ab3a3f98ep+06",
	"R":              "0x1.f9903261e4cdbp+05",
	"SE":             "0x1.0ece5f80ff0d8p+16",
	"SE_without_top": "0x1.0fa3d4dd73cf5p+16",
	"T":              "-0x1.9d9ff9e7756e1p+14",
	"T_without_top":  "-0x1.0ddf03cb0adp+15",
	"V_0":            "0x1.dd7749e980da8p+31",
	"V_b":            "0x1.19b829d8576c8p+32",
	"V_cr":           "0x1.1e77f7d1f13bfp+32",
	"W":              "0x1.544232aecdd5ap+08",
	"beta_00":        "0x1.5a64aed730dcfp+10",
	"beta_01":        "0x1.993a54bcc82ddp-02",
	"cal_z":          "-0x1.fbf6029766cecp+00",
	"observed":       "530331",
	"srm_z":          "-0x1.078b9a02cd69dp+01",
	"top":            "acct_0325",
	"top_psi":        "0x1.e6ed74a996b3p+12",
}
