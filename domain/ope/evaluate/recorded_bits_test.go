package evaluate_test

import "github.com/liftbill/liftbill/domain/ope/evaluate"

// recorded are the policy's value and the lift's se_ddof1, cluster_se_cr1 and
// total_se_units_iid of TestRecordedBits.
var recorded = map[evaluate.Name][4]string{
	evaluate.IPW:      {"0x1.46c6b0c99aadep+06", "0x1.6dd2fd6f7b179p+02", "0x1.2df7c83b5bf9ap+02", "0x1.26cbdc09dc7b6p+11"},
	evaluate.SNIPW:    {"0x1.d4d4a0131a81ep+05", "0x1.f300139674d86p+00", "0x1.03ffd3c31ebcp+01", "0x1.a669f23714cebp+10"},
	evaluate.DM:       {"0x1.5d035bfee83a6p+04", "0x1.140bd204cf85p-02", "0x1.9485cf4231dccp-03", "0x1.8c090d9bdda5p+06"},
	evaluate.DR:       {"0x1.247da5e2f009p+06", "0x1.0a1ab514444aap+02", "0x1.e9bd243cfd73p+01", "0x1.de03560e545ccp+10"},
	evaluate.SNDR:     {"0x1.d4f6c1a324c55p+05", "0x1.f7860fbc80828p+00", "0x1.05711c17882a9p+01", "0x1.5638830f79833p+10"},
	evaluate.SwitchDR: {"0x1.cfbd116cbeae5p+05", "0x1.4ac59caf56512p+01", "0x1.47b1122120e44p+01", "0x1.3ffff8314973fp+10"},
	evaluate.DRos:     {"0x1.9b0245aa6d058p+05", "0x1.32e2582ab4fe6p+00", "0x1.0afbd5bfeff8p+00", "0x1.048b6177188c8p+09"},
	evaluate.DRClip:   {"0x1.247da5e2f009p+06", "0x1.f2090470a608fp+01", "0x1.c63ba136aa28fp+01", "0x1.bb4326e8c7791p+10"},
	evaluate.IPWClip:  {"0x1.46c6b0c99aadep+06", "0x1.53a7ffbf004bp+02", "0x1.120577f6d9a91p+02", "0x1.0b718e2131cc8p+11"},
}
