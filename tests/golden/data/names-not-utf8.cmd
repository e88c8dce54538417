# aaa, caf\xe9 (Latin-1, as unzipped from Windows), zzz: names are escaped, none slips; files too.
python3 - <<'END'
import os
from files import png, plain
tmp = os.environ["tmp"]
for name, v in ((b"aaa", 20), (b"caf\xe9", 120), (b"zzz", 220)):
    for i in range(12):
        png("%s/latin/%s/%02d.png" % (tmp, os.fsdecode(name), i), plain(8, 8, v + i))
os.rename(os.path.join(os.fsencode(tmp), b"latin", b"caf\xe9", b"00.png"), os.path.join(os.fsencode(tmp), b"latin", b"caf\xe9", b"t\xeate.png"))
END
t="tests/golden/data/tiny.yaml -p classes=3" cafe=$(printf 'caf\xe9') tete=$(printf 't\xeate.png')
$rnc train $t --data $tmp/latin --out $tmp/out >$tmp/log || cat $tmp/log
python3 -c 'import os; from files import read_safetensors; print(read_safetensors(os.environ["tmp"] + "/out/best.safetensors")[1]["rnc.classes"])'
$rnc predict $t --weights $tmp/out/best.safetensors $tmp/latin/{aaa/01.png,$cafe/01.png,zzz/01.png} --top 1 | grep '%' | sed 's/.*%//'
$rnc predict $t --weights $tmp/out/best.safetensors $tmp/latin/$cafe/$tete --top 1 --json 2>$tmp/err | grep 'image"\|class'
cp $tmp/out/best.safetensors "$tmp/$cafe.safetensors"; mv $tmp/latin "$tmp/$cafe"
$rnc eval $t --weights "$tmp/$cafe.safetensors" --data "$tmp/$cafe" --json | grep '"data\|weights'
