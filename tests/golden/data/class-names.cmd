# Classes go by name: weights, folders and the spec's list may have any order.
python3 - <<'END'
import os
from files import png, plain
tmp = os.environ["tmp"]
def folder(at, **classes):
    for name, v in classes.items():
        for i in range(10):
            png("%s/%s/%s/%02d.png" % (tmp, at, name, i), plain(8, 8, v + i))
folder("d", Platelets=20, RBC=120, WBC=220)
folder("lower", platelets=20, rbc=120, wbc=220)
folder("two", Platelets=20, WBC=220)
folder("four", Platelets=20, RBC=120, WBC=220, XBC=80)
END
t="tests/golden/data/tiny.yaml -p classes=3" w="--weights $tmp/out/best.safetensors"
scores() { $rnc eval $t $w "$@" 2>&1 | grep 'accuracy\|images\|error\|warning\|=' | sed 's/images in .*/images/' | grep -v images:; }
echo "== the spec's order, and its names in the checkpoint"
$rnc train $t --data $tmp/d --set "classes=[WBC, RBC, Platelets]" --out $tmp/out >$tmp/log || cat $tmp/log
head -1 $tmp/log
python3 -c 'import os; from files import read_safetensors; print(read_safetensors(os.environ["tmp"] + "/out/best.safetensors")[1]["rnc.classes"])'
$rnc predict $t $w $tmp/d/WBC/00.png $tmp/d/Platelets/00.png --top 1 | grep '%' | sed 's/.*%//'
scores --data $tmp/d
scores --data $tmp/d --set "classes=[Platelets, RBC, WBC]"
echo "== a class without pictures"
scores --data $tmp/two
echo "== folders of other names"
scores --data $tmp/lower
scores --data $tmp/lower --rename rbc=RBC --rename wbc=WBC --rename platelets=Platelets
scores --data $tmp/four
scores --data $tmp/four --rename XBC=RBC
scores --data $tmp/d --rename XBC
scores --data $tmp/d --rename XBC=RBC
echo "== the spec's names are others"
scores --data $tmp/d --set "classes=[WBC, RBC, Plates]"
$rnc predict $t $w --set "classes=[WBC, RBC, Plates]" $tmp/d/WBC/00.png
echo "== training"
$rnc train $t --data $tmp/d --set "classes=[WBC, rbc, Platelets]" --out $tmp/x
$rnc train $t --data $tmp/two --set "classes=[WBC, RBC, Platelets]" --out $tmp/x
