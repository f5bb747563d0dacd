//! What a gateway says where no spoke's answer came, in both tongues.

use super::words;

words! {
    /// A title and three sentences: what happened, what is safe, what to do.
    GatewaySentences: [&'static str; 4] {
        no_such_name: [
            "No such blog",
            "This network has nothing called {name}.",
            "All its blogs are where they were.",
            "Check the spelling. A blog that was just begun appears within a minute.",
        ], [
            "لا توجد مدونة كهذه",
            "ليس في هذه الشبكة شيء اسمه {name}.",
            "كل مدوناتها في أماكنها.",
            "تحقق من الكتابة. والمدونة التي بدأت للتو تظهر خلال دقيقة.",
        ];
        foreign: [
            "Not of this network",
            "{name} does not belong to the network {domain}.",
            "Nothing was asked of anybody.",
            "Check the address.",
        ], [
            "ليس من هذه الشبكة",
            "العنوان {name} ليس من الشبكة {domain}.",
            "لم يُسأل أحد عن شيء.",
            "تحقق من العنوان.",
        ];
        no_address: [
            "No spoke at the moment",
            "{name} exists, but no spoke serves it at the moment.",
            "Every post that was safe is safe.",
            "The council is finding a spoke for it: try again in a minute.",
        ], [
            "لا خادم في هذه اللحظة",
            "العنوان {name} موجود، لكن لا خادم يقدمه في هذه اللحظة.",
            "كل تدوينة كانت محفوظة بأمان ما زالت كذلك.",
            "يبحث المجلس له عن خادم: حاول مرة أخرى بعد دقيقة.",
        ];
        dns_silent: [
            "The council does not answer",
            "None of the council's DNS servers could say where {name} is.",
            "The blogs are on their spokes, unharmed, and this request changed nothing.",
            "Try again in a minute; if you run this network, see that its council runs.",
        ], [
            "لا يجيب المجلس",
            "لم يستطع أي من خوادم DNS لدى المجلس أن يقول أين {name}.",
            "المدونات سالمة على خوادمها، ولم يغيّر هذا الطلب شيئًا.",
            "حاول مرة أخرى بعد دقيقة؛ وإن كنت تدير هذه الشبكة فتأكد أن مجلسها يعمل.",
        ];
        nobody_answered: [
            "No spoke answers",
            "{spokes} asked for {name}, and none answered.",
            "This request changed nothing, and every post that was safe is safe.",
            "Start one of the spokes that hold it, or try again in a minute.",
        ], [
            "لا خادم يجيب",
            "{spokes} عن {name} ولم يأت جواب.",
            "لم يغيّر هذا الطلب شيئًا، وكل تدوينة كانت محفوظة بأمان ما زالت كذلك.",
            "شغّل واحدًا من الخوادم التي تحفظه، أو حاول مرة أخرى بعد دقيقة.",
        ];
        outcome_unknown: [
            "Sent, but not answered",
            "A spoke of {name} took what you sent, and then did not answer.",
            "It was sent to that one spoke and to no other. It may have been done or not.",
            "Look whether it was done before you send it again.",
        ], [
            "أُرسل ولم يأت جواب",
            "تلقى خادم من خوادم {name} ما أرسلته، ثم لم يجب.",
            "أُرسل إلى ذلك الخادم وحده دون غيره. وربما نُفّذ وربما لم يُنفّذ.",
            "انظر هل نُفّذ قبل أن ترسله مرة أخرى.",
        ];
        unreadable_host: [
            "For whom?",
            "The request names its host twice, or not as a name.",
            "Nothing was asked of anybody.",
            "Send one Host header with one name.",
        ], [
            "لمن هذا الطلب؟",
            "يذكر الطلب مضيفه مرتين، أو لا يذكره باسم.",
            "لم يُسأل أحد عن شيء.",
            "أرسل ترويسة Host واحدة فيها اسم واحد.",
        ];
        method_unknown: [
            "Not done here",
            "This gateway passes on no CONNECT and no TRACE.",
            "Nothing was asked of anybody.",
            "Use another method.",
        ], [
            "لا يُفعل هذا هنا",
            "لا تمرر هذه البوابة CONNECT ولا TRACE.",
            "لم يُسأل أحد عن شيء.",
            "استعمل طريقة أخرى.",
        ];
        going_round: [
            "Going round in a circle",
            "The request came back to the gateway that had sent it on.",
            "It went no further, and changed nothing.",
            "If you run this network, see which port its spokes listen on.",
        ], [
            "يدور في حلقة",
            "عاد الطلب إلى البوابة التي كانت قد مررته.",
            "لم يمض أبعد من ذلك، ولم يغيّر شيئًا.",
            "إن كنت تدير هذه الشبكة فانظر على أي منفذ تنصت خوادمها.",
        ];
    }
}
